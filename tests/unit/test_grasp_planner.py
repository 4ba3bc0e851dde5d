"""Planning whole grasps and motions, judged by another collision engine; and each way in which it can fail."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from planning_cell import (
    DOWN,
    BulletJudge,
    arm,
    assert_within_limits,
    cell,
    context,
    dense_positions,
    home,
    in_base,
    profile,
    scene_of,
    standing_box,
    tcp_pose,
)
from scipy.spatial.transform import RigidTransform, Rotation

from giga_grasping.cell import BoxObstacle
from giga_grasping.collision_scene import Clearances
from giga_grasping.configuration import ConfigurationError
from giga_grasping.grasp_planner import GraspPlan, plan_grasp, retreat_direction
from giga_grasping.motion_planner import goals_of_joints, goals_of_name, goals_of_pose, plan_motion
from giga_grasping.planning_context import PlannerSettings, PlanningContext
from giga_grasping.planning_outcome import PlanningError, PlanningOutcome
from giga_grasping.scene_store import PerceivedScene
from giga_grasping.timing import scaled_limits

LIMITS = scaled_limits(profile().limits, 0.6, 0.6)
# Approach along x, closing along y.
FORWARDS = Rotation.from_matrix(np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]))
CLOSED_ALONG_X = DOWN * Rotation.from_euler("z", 90.0, degrees=True)


def assert_sound(plan: GraspPlan) -> None:
    """Limits, continuity, the straight lines, and the pose at the end of the approach."""
    parts = (plan.reach, plan.approach, plan.retreat)
    for part in parts:
        assert_within_limits(part, LIMITS)
    for before, after in pairwise(parts):
        np.testing.assert_allclose(before.positions_rad[-1], after.positions_rad[0], atol=1e-6)
    at_grasp = plan.T_base_tcp.inv() * arm().T_base_tcp(plan.approach.positions_rad[-1])
    assert np.linalg.norm(at_grasp.translation) < 1e-5
    assert at_grasp.rotation.magnitude() < 1e-5
    settings = context().settings
    start = plan.T_base_tcp.inv().apply(arm().T_base_tcp(plan.approach.positions_rad[0]).translation)
    np.testing.assert_allclose(start, [0.0, 0.0, -settings.approach_distance_m], atol=1e-5)
    end = arm().T_base_tcp(plan.retreat.positions_rad[-1]).translation
    way = settings.retreat_distance_m * retreat_direction(plan.T_base_tcp)
    np.testing.assert_allclose(end, plan.T_base_tcp.translation + way, atol=1e-5)


def outcome_of(
    candidates: list[RigidTransform], scene: PerceivedScene, start: np.ndarray | None = None
) -> PlanningError:
    with pytest.raises(PlanningError) as caught:
        plan_grasp(context(), scene, home() if start is None else start, candidates)
    return caught.value


def feasible_scene(seed: int) -> tuple[list[tuple[RigidTransform, np.ndarray]], PerceivedScene, RigidTransform]:
    """Three boxes so far apart that an open hand fits, and a grasp from above or obliquely on the first."""
    rng = np.random.default_rng(seed)
    # A triangle of places 0.13 m or more apart, turned at random.
    middle, turn = np.array([0.15, 0.15]), rng.uniform(0.0, 2.0 * np.pi)
    boxes, meshes = [], []
    for k in range(3):
        angle = turn + k * 2.0 * np.pi / 3.0
        x, y = middle + 0.09 * np.array([np.cos(angle), np.sin(angle)])
        size = np.array([rng.uniform(0.02, 0.05), 0.05, rng.uniform(0.05, 0.10)])
        yaw = rng.uniform(0.0, np.pi)
        boxes.append(
            (in_base(RigidTransform.from_components([x, y, 0.05 + 0.5 * size[2]], Rotation.from_euler("z", yaw))), size)
        )
        meshes.append(standing_box(x, y, list(size), yaw))
        if k == 0:
            tilt = rng.uniform(-40.0, 40.0) if seed % 2 else 0.0
            rotation = Rotation.from_euler("z", yaw) * CLOSED_ALONG_X * Rotation.from_euler("y", tilt, degrees=True)
            # The TCP 15 mm below the box's top: the palm stays clear also when tilted.
            grasp = tcp_pose([x, y, 0.05 + size[2] - 0.015], rotation)
    return boxes, scene_of(*meshes), grasp


def test_feasible_grasps_get_plans_that_another_engine_finds_free() -> None:
    planned = 0
    for seed in range(30):
        boxes, scene, grasp = feasible_scene(seed)
        try:
            plan = plan_grasp(context(), scene, home(), [grasp])
        except PlanningError:
            continue
        planned += 1
        assert_sound(plan)
        judge = BulletJudge(*boxes)
        # The fingers may touch what they grasp; the hand may graze it by the voxel's doubt.
        fingers = {("panda_leftfinger", "object_0"), ("panda_rightfinger", "object_0")}
        try:
            for joints in dense_positions(plan.reach, 0.02):
                assert judge.deepest(joints)[0] > 0.0, judge.deepest(joints)
            for part in (plan.approach, plan.retreat):
                for joints in dense_positions(part, 0.02):
                    assert judge.deepest(joints, fingers)[0] > -0.005, judge.deepest(joints, fingers)
        finally:
            judge.close()
    assert planned >= 29


def test_the_same_request_gives_the_same_plan() -> None:
    _, scene, grasp = feasible_scene(3)
    plans = [plan_grasp(PlanningContext(arm(), cell()), scene, home(), [grasp]) for _ in range(2)]
    for name in ("reach", "approach", "retreat"):
        np.testing.assert_array_equal(getattr(plans[0], name).positions_rad, getattr(plans[1], name).positions_rad)


def test_the_first_plannable_candidate_is_taken() -> None:
    _, scene, grasp = feasible_scene(2)
    far_away = tcp_pose([2.0, 0.0, 0.2])
    assert plan_grasp(context(), scene, home(), [far_away, grasp, grasp]).index == 1


def test_both_turns_of_a_grasp_are_tried() -> None:
    half_turn = RigidTransform.from_rotation(Rotation.from_euler("z", 180.0, degrees=True))
    turned = []
    for yaw in np.linspace(0.0, 2.0 * np.pi, 12, endpoint=False):
        grasp = tcp_pose([0.15, 0.15, 0.12], Rotation.from_euler("z", yaw) * DOWN)
        plan = plan_grasp(context(), scene_of(), home(), [grasp])
        as_given = np.allclose(plan.T_base_tcp.as_matrix(), grasp.as_matrix(), atol=1e-9)
        as_turned = np.allclose(plan.T_base_tcp.as_matrix(), (grasp * half_turn).as_matrix(), atol=1e-9)
        assert as_given != as_turned
        turned.append(as_turned)
    assert any(turned)
    assert not all(turned)


def test_a_grasp_from_the_side_is_lifted_straight_up() -> None:
    plan = plan_grasp(context(), scene_of(), home(), [tcp_pose([0.15, 0.15, 0.15], FORWARDS)])
    assert_sound(plan)
    np.testing.assert_allclose(retreat_direction(plan.T_base_tcp), [0.0, 0.0, 1.0])
    np.testing.assert_allclose(retreat_direction(tcp_pose([0, 0, 0.1])), [0.0, 0.0, 1.0], atol=1e-12)
    oblique = tcp_pose([0, 0, 0.1], DOWN * Rotation.from_euler("y", 50.0, degrees=True))
    np.testing.assert_allclose(retreat_direction(oblique), -oblique.rotation.as_matrix()[:, 2])


def test_a_grasp_a_little_too_low_is_lifted_and_says_so() -> None:
    low = tcp_pose([0.15, 0.15, 0.055])
    plan = plan_grasp(context(), scene_of(), home(), [low])
    assert 0.005 < plan.lift_m < 0.008
    np.testing.assert_allclose(plan.T_base_tcp.translation - low.translation, [0.0, 0.0, plan.lift_m], atol=1e-12)
    assert_sound(plan)
    strict = PlanningContext(arm(), cell(), replace(PlannerSettings(), lift_limit_m=0.0))
    with pytest.raises(PlanningError) as caught:
        plan_grasp(strict, scene_of(), home(), [low])
    assert caught.value.outcome is PlanningOutcome.IN_COLLISION


def test_a_tolerance_deeper_than_a_finger_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match=r"0\.02 m"):
        PlanningContext(arm(), cell(), PlannerSettings(clearances=Clearances(fingers_rest_m=-0.02)))


def test_no_candidates() -> None:
    assert outcome_of([], scene_of()).outcome is PlanningOutcome.NO_CANDIDATES


def test_out_of_reach() -> None:
    error = outcome_of([tcp_pose([2.0, 0.0, 0.2]), tcp_pose([-2.0, 0.0, 0.2])], scene_of())
    assert error.outcome is PlanningOutcome.NO_IK_SOLUTION
    assert "2 out of reach" in str(error)


def test_in_collision_at_the_grasp() -> None:
    # A neighbour on either side, where the open fingers would be.
    scene = scene_of(*(standing_box(0.15, 0.15 + side * 0.055, [0.04, 0.03, 0.08]) for side in (-1, 1)))
    assert outcome_of([tcp_pose([0.15, 0.15, 0.08])], scene).outcome is PlanningOutcome.IN_COLLISION


def grasp_under_a_shelf(gap_m: float) -> tuple[RigidTransform, PerceivedScene]:
    """A grasp from the side, and a shelf that much over the middle of the fingers."""
    shelf = standing_box(0.165, 0.15, [0.03, 0.2, 0.01])
    shelf.apply_translation([0.0, 0.0, 0.15 + gap_m])
    return tcp_pose([0.15, 0.15, 0.20], FORWARDS), scene_of(shelf)


def test_retreat_blocked_by_a_shelf() -> None:
    grasp, scene = grasp_under_a_shelf(0.05)
    error = outcome_of([grasp], scene)
    assert error.outcome is PlanningOutcome.APPROACH_BLOCKED
    assert "approach and retreat" in str(error)


def test_a_retreat_of_no_given_length_is_shortened_where_there_is_no_room() -> None:
    grasp, scene = grasp_under_a_shelf(0.09)
    plan = plan_grasp(context(), scene, home(), [grasp])
    lifted = arm().T_base_tcp(plan.retreat.positions_rad[-1]).translation - grasp.translation
    np.testing.assert_allclose(lifted[:2], 0.0, atol=1e-5)
    assert 0.05 <= lifted[2] <= 0.09
    with pytest.raises(PlanningError) as caught:
        plan_grasp(context(), scene, home(), [grasp], retreat_distance_m=0.10)
    assert caught.value.outcome is PlanningOutcome.APPROACH_BLOCKED


def test_a_start_outside_the_limits_or_in_the_table_is_named() -> None:
    outside = home().copy()
    outside[3] = 0.5
    error = outcome_of([tcp_pose([0.15, 0.15, 0.15])], scene_of(), outside)
    assert error.outcome is PlanningOutcome.START_INVALID
    assert "panda_joint4" in str(error)
    into_table = context().kinematics.solve(tcp_pose([0.15, 0.15, 0.05]))[0]
    error = outcome_of([tcp_pose([0.15, 0.15, 0.15])], scene_of(), into_table)
    assert error.outcome is PlanningOutcome.START_INVALID
    assert "table" in str(error)


@pytest.mark.parametrize(
    "field", ["approach_distance_m", "retreat_distance_m", "velocity_scaling", "acceleration_scaling"]
)
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_a_field_out_of_range_is_named(field: str, value: float) -> None:
    with pytest.raises(PlanningError, match=field) as caught:
        plan_grasp(context(), scene_of(), home(), [tcp_pose([0.15, 0.15, 0.15])], **{field: value})
    assert caught.value.outcome is PlanningOutcome.INVALID_REQUEST


def test_the_bin_is_reached_with_an_object_around_obstacles_and_home_again() -> None:
    boxes, scene, grasp = feasible_scene(4)
    plan = plan_grasp(context(), scene, home(), [grasp])
    held = np.array([[x, y, z] for x in (-0.01, 0.01) for y in (-0.02, 0.02) for z in (-0.02, 0.02)])
    to_bin = plan_motion(context(), scene, plan.retreat.positions_rad[-1], goals_of_name(context(), "bin"), held)
    assert_within_limits(to_bin, LIMITS)
    wanted = in_base(profile().named_poses["bin"])
    reached = arm().T_base_tcp(to_bin.positions_rad[-1])
    np.testing.assert_allclose(reached.translation, wanted.translation, atol=1e-6)
    np.testing.assert_allclose(reached.rotation.as_matrix()[:, 2], [0.0, 0.0, -1.0], atol=1e-6)
    back = plan_motion(context(), scene, to_bin.positions_rad[-1], goals_of_name(context(), "home"))
    np.testing.assert_allclose(back.positions_rad[-1], home(), atol=1e-6)
    judge = BulletJudge(*boxes)
    try:
        for motion in (to_bin, back):
            for joints in dense_positions(motion, 0.02):
                assert judge.deepest(joints)[0] > 0.0, judge.deepest(joints)
    finally:
        judge.close()


def test_a_wall_in_the_way_is_gone_around() -> None:
    wall = BoxObstacle(
        "unseen_0", in_base(RigidTransform.from_translation([0.05, 0.40, 0.25])), np.array([0.5, 0.02, 0.4])
    )
    scene = PerceivedScene(unseen=(wall,))
    start = context().kinematics.solve(tcp_pose([0.15, 0.15, 0.20]))
    free = [q for q in start if context().collision_scene(scene).in_the_open.is_free(q)]
    start_rad = free[int(np.abs(np.array(free) - home()).max(axis=1).argmin())]
    motion = plan_motion(context(), scene, start_rad, goals_of_name(context(), "bin"))
    assert_within_limits(motion, LIMITS)
    judge = BulletJudge((wall.T_base_box, wall.size_m))
    try:
        for joints in dense_positions(motion, 0.01):
            assert judge.deepest(joints)[0] > 0.0, judge.deepest(joints)
    finally:
        judge.close()


def test_a_start_in_perceived_matter_is_left_upwards() -> None:
    # The hand has let go: fingers open around the box that stands in the scene still.
    scene = scene_of(standing_box(0.15, 0.15, [0.03, 0.082, 0.08]))
    start_rad = context().kinematics.solve(tcp_pose([0.15, 0.15, 0.115]))
    start_rad = start_rad[int(np.abs(start_rad - home()).max(axis=1).argmin())]
    assert not context().collision_scene(scene).in_the_open.is_free(start_rad)
    motion = plan_motion(context(), scene, start_rad, goals_of_name(context(), "home"))
    assert_within_limits(motion, LIMITS)
    np.testing.assert_allclose(motion.positions_rad[0], start_rad, atol=1e-9)
    heights = [arm().T_base_tcp(joints).translation[2] for joints in motion.positions_rad[:40]]
    assert np.all(np.diff(heights) > -1e-6)


@pytest.mark.parametrize(
    ("goal", "outcome", "word"),
    [
        ("nowhere", PlanningOutcome.INVALID_REQUEST, "bin, home"),
        (tcp_pose([2.0, 0.0, 0.2]), PlanningOutcome.NO_IK_SOLUTION, "out of reach"),
        (tcp_pose([0.15, 0.15, 0.04]), PlanningOutcome.IN_COLLISION, "table"),
        (np.full(7, 3.5), PlanningOutcome.INVALID_REQUEST, "limits"),
    ],
)
def test_a_goal_that_cannot_be_is_refused_with_its_reason(goal: object, outcome: PlanningOutcome, word: str) -> None:
    def plan() -> None:
        if isinstance(goal, str):
            goals = goals_of_name(context(), goal)
        elif isinstance(goal, RigidTransform):
            goals = goals_of_pose(context(), goal)
        else:
            assert isinstance(goal, np.ndarray)
            goals = goals_of_joints(context(), goal)
        plan_motion(context(), scene_of(), home(), goals)

    with pytest.raises(PlanningError, match=word) as caught:
        plan()
    assert caught.value.outcome is outcome


def test_a_closed_in_arm_gives_up_within_its_limits() -> None:
    # A cage around the hand at home: the goal outside cannot be reached.
    T_base_tcp = arm().T_base_tcp(home())
    walls = []
    for axis in range(3):
        for side in (-1.0, 1.0):
            offset, size = np.zeros(3), np.full(3, 0.56)
            offset[axis], size[axis] = side * 0.28, 0.02
            if axis == 2 and side > 0.0:
                continue
            place = RigidTransform.from_translation(T_base_tcp.translation + offset)
            walls.append(BoxObstacle(f"unseen_{len(walls)}", place, size))
    few = PlanningContext(arm(), cell(), replace(PlannerSettings(), max_checks=300, time_limit_s=3.0))
    with pytest.raises(PlanningError) as caught:
        plan_motion(few, PerceivedScene(unseen=tuple(walls)), home(), goals_of_name(few, "bin"))
    assert caught.value.outcome in (PlanningOutcome.PLANNING_FAILED, PlanningOutcome.START_INVALID)
