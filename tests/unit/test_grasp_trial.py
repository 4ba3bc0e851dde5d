"""Grasps with a known end, tried by the free hand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.workspace import TABLE_HEIGHT_M
from giga_sim.grasp_trial import TrialEnd, TrialOutcome, try_for_benchmark
from giga_sim.gripper_hand import MAX_WIDTH_M, PARKED, GripperHand
from giga_sim.label_trials import LabelTrials
from giga_sim.object_sets import ObjectModel
from giga_sim.physics_world import PhysicsWorld

BOX_SIZE_M = (0.06, 0.03, 0.06)
DOWN = Rotation.from_euler("x", np.pi)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> ObjectModel:
    folder = tmp_path_factory.mktemp("box")
    trimesh.creation.box(BOX_SIZE_M).export(folder / "box.obj")
    mesh = '<geometry><mesh filename="box.obj"/></geometry>'
    (folder / "box.urdf").write_text(
        '<robot name="box"><link name="box"><inertial><origin xyz="0 0 0"/><mass value="0.1"/>'
        '<inertia ixx="1e-4" ixy="0" ixz="0" iyy="1e-4" iyz="0" izz="1e-4"/></inertial>'
        f"<visual>{mesh}</visual><collision>{mesh}</collision></link></robot>"
    )
    return ObjectModel("box", folder / "box.urdf", stands=True, is_union_of_parts=True)


@pytest.fixture
def world(box: ObjectModel) -> Iterator[PhysicsWorld]:
    world = PhysicsWorld()
    world.add_table()
    place = RigidTransform.from_translation([0.15, 0.15, TABLE_HEIGHT_M + BOX_SIZE_M[2] / 2.0])
    world.add_object(box, place)
    world.wait_until_rest()
    yield world
    world.close()


def from_above(height_above_table_m: float, yaw_rad: float = 0.0, y_m: float = 0.15) -> RigidTransform:
    position = [0.15, y_m, TABLE_HEIGHT_M + height_above_table_m]
    return RigidTransform.from_components(position, DOWN * Rotation.from_euler("z", yaw_rad))


def try_for_label(world: PhysicsWorld, hand: GripperHand, T_workspace_grasp: RigidTransform) -> TrialOutcome:
    return LabelTrials(world, hand)(T_workspace_grasp)


def test_a_box_is_lifted_at_its_own_width(world: PhysicsWorld) -> None:
    hand = GripperHand(world)
    (body_id,) = world.objects
    for trial in (try_for_label, try_for_benchmark):
        outcome = trial(world, hand, from_above(0.09))
        assert outcome.end is TrialEnd.LIFTED
        assert outcome.body_id == body_id
        # The surfaces that meet keep the physics engine's collision margins, 1 mm each, less what the grip presses in.
        assert outcome.width_m == pytest.approx(BOX_SIZE_M[1] + 0.003, abs=0.0015)
    # The trial of the benchmark leaves what it lifted where the hand let go of it.
    assert world.pose(body_id).translation[2] > TABLE_HEIGHT_M + 0.08


def test_the_air_holds_nothing(world: PhysicsWorld) -> None:
    assert try_for_label(world, GripperHand(world), from_above(0.2)).end is TrialEnd.CLOSED_ON_NOTHING


def test_fingers_that_would_stand_in_the_table_are_blocked(world: PhysicsWorld) -> None:
    assert try_for_label(world, GripperHand(world), from_above(0.04, y_m=0.25)).end is TrialEnd.APPROACH_BLOCKED


def test_the_wide_side_of_a_box_blocks_narrow_fingers_and_the_benchmark_closes_there(world: PhysicsWorld) -> None:
    """From the side where the box is as wide as 0.06 m, off centre so far that one finger lands on top of it."""
    grasp = from_above(0.09, yaw_rad=np.pi / 2.0)
    off_centre = RigidTransform.from_translation([0.03, 0.0, 0.0]) * grasp
    hand = GripperHand(world)
    assert try_for_label(world, hand, off_centre).end is TrialEnd.APPROACH_BLOCKED
    assert try_for_benchmark(world, hand, off_centre).end in (TrialEnd.CLOSED_ON_NOTHING, TrialEnd.LOST)


def test_a_hand_inside_the_table_is_blocked_before_it_moves(world: PhysicsWorld) -> None:
    into_table = RigidTransform.from_components([0.25, 0.25, TABLE_HEIGHT_M - 0.02], DOWN)
    sideways = RigidTransform.from_components(into_table.translation, Rotation.from_euler("y", np.pi / 2.0))
    assert try_for_benchmark(world, GripperHand(world), sideways).end is TrialEnd.PRE_GRASP_BLOCKED


def test_label_trials_leave_the_scene_as_it_was(world: PhysicsWorld) -> None:
    (body_id,) = world.objects
    trials = LabelTrials(world, GripperHand(world))
    before = world.pose(body_id).as_matrix()
    outcomes = [trials(from_above(0.09)) for _ in range(2)]
    assert outcomes[0] == outcomes[1]
    np.testing.assert_array_equal(world.pose(body_id).as_matrix(), before)


def test_the_hand_opens_when_it_is_teleported(world: PhysicsWorld) -> None:
    hand = GripperHand(world)
    try_for_label(world, hand, from_above(0.09))
    hand.teleport(PARKED)
    assert hand.opening_m() == pytest.approx(MAX_WIDTH_M)
