"""The mock Panda in its cell: tracking, holding, lifting by friction, and what the camera sees of it."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import RigidTransform

pytest.importorskip("pybullet", reason="PyBullet is not installed")

from giga_sim.cell import Box, read_cell
from giga_sim.joint_trajectory import JointTrajectory, TrajectoryPoint, trajectory_through
from giga_sim.object_sets import ObjectSet
from giga_sim.robot_profile import read_robot_profile
from giga_sim.simulated_cell import SceneRequest, SimulatedCell
from giga_sim.simulated_gripper import GripperCommand, GripperCommandKind
from giga_sim.trajectory_following import Tolerances, TrajectoryGoal, TrajectoryOutcome, hold_at

CONFIG = Path(__file__).resolve().parents[2] / "config"
AT_REST_RAD = 2e-3
MOVING_RAD = 20e-3


@pytest.fixture(scope="module")
def cell():
    return SimulatedCell(read_robot_profile(CONFIG / "robots" / "panda.yaml"), read_cell(CONFIG / "cell.yaml"))


@pytest.fixture
def empty(cell):
    """The cell without objects, the arm at home, no faults."""
    cell.faults.clear()
    cell._populate(None)
    return cell


def start(cell, *targets):
    """Send the arm through (time, positions), at rest at each, from where it is told to be."""
    at_rest = np.zeros(7)
    points = [TrajectoryPoint(time_s, np.array(positions), at_rest, at_rest) for time_s, positions in targets]
    trajectory = trajectory_through(points, cell.arm_follower.setpoint)
    goal = TrajectoryGoal(trajectory, Tolerances.unchecked(7), cell.step_count)
    cell.arm_follower.start(goal)
    return goal


def finish(cell, activity, each_step=lambda: None):
    for _ in range(240 * 20):
        if activity.finished:
            return activity
        cell.step()
        each_step()
    raise AssertionError("it never ended")


def close_on(cell, width_m, epsilon_m=0.04, force_n=40.0):
    command = GripperCommand(GripperCommandKind.GRASP, width_m, 0.1, force_n, epsilon_m, epsilon_m)
    cell.gripper.start(command, cell.readings.width_m)
    return finish(cell, command)


def pointing_down(cell, tcp_m):
    """Joint positions that bring the TCP there, hand downwards, fingers closing along y."""
    client, arm = cell.world.client, cell.arm
    home = cell.profile.home_rad
    hand_m = np.array(tcp_m) + cell.profile.T_parent_tcp.translation
    joints = home
    for _ in range(30):
        arm.place(joints, cell.profile.gripper_max_width_m)
        solution = client.calculateInverseKinematics(
            arm.body, arm.link_indices[cell.profile.hand_frame], hand_m.tolist(), [1.0, 0.0, 0.0, 0.0]
        )
        joints = np.array(solution[:7])
    arm.place(joints, cell.profile.gripper_max_width_m)
    assert np.linalg.norm(arm.link_poses()[cell.profile.hand_frame].translation - hand_m) < 1e-3
    arm.place(home, cell.profile.gripper_max_width_m)
    return joints


def test_tracks_a_trajectory(empty):
    target = empty.profile.home_rad + np.array([0.8, 0.5, -0.5, 0.4, -0.6, 0.5, 0.8])
    errors = []

    def note():
        errors.append(np.abs(empty.readings.arm_positions - empty.arm_follower.setpoint.positions).max())

    goal = finish(empty, start(empty, (1.0, target), (2.0, empty.profile.home_rad)), note)
    assert goal.outcome is TrajectoryOutcome.SUCCEEDED
    assert max(errors) < MOVING_RAD
    assert np.abs(empty.readings.arm_positions - empty.profile.home_rad).max() < AT_REST_RAD


def test_follows_the_interpolation_of_what_the_points_give():
    start_positions, end = np.zeros(7), np.ones(7)
    at_rest = np.zeros(7)
    linear = trajectory_through([TrajectoryPoint(2.0, end)], hold_at(start_positions))
    cubic = trajectory_through([TrajectoryPoint(2.0, end, at_rest)], hold_at(start_positions))
    quintic = trajectory_through([TrajectoryPoint(2.0, end, at_rest, at_rest)], hold_at(start_positions))
    s = 0.25
    assert linear.at(0.5).positions == pytest.approx(s * end)
    assert cubic.at(0.5).positions == pytest.approx((3 * s**2 - 2 * s**3) * end)
    assert quintic.at(0.5).positions == pytest.approx((10 * s**3 - 15 * s**4 + 6 * s**5) * end)
    for trajectory in (linear, cubic, quintic):
        assert isinstance(trajectory, JointTrajectory)
        step = 1e-6
        slope = (trajectory.at(0.5 + step).positions - trajectory.at(0.5 - step).positions) / (2 * step)
        assert trajectory.at(0.5).velocities == pytest.approx(slope, abs=1e-6)
        assert trajectory.at(3.0).positions == pytest.approx(end)


def test_holds_at_rest_against_gravity(empty):
    outstretched = np.array([0.0, 0.6, 0.0, -0.5, 0.0, 1.2, 0.785398])
    finish(empty, start(empty, (2.0, outstretched)))
    for _ in range(240):
        empty.step()
    assert np.abs(empty.readings.arm_positions - outstretched).max() < AT_REST_RAD
    assert np.abs(empty.readings.arm_velocities).max() < 1e-3
    assert np.abs(empty.readings.arm_efforts[1]) > 10.0, "joint 2 carries the arm"


def test_lifts_a_box_by_friction(empty):
    world = empty.world
    shape = world.client.createCollisionShape(world.client.GEOM_BOX, halfExtents=[0.025, 0.02, 0.03])
    box = world.client.createMultiBody(0.3, shape, basePosition=[0.15, 0.16, 0.08])
    world.client.changeDynamics(box, -1, lateralFriction=1.0)
    above, around = pointing_down(empty, [0.15, 0.15, 0.20]), pointing_down(empty, [0.15, 0.15, 0.08])
    finish(empty, start(empty, (2.0, above), (3.0, around)))
    command = close_on(empty, 0.04, epsilon_m=0.005)
    assert command.success, command.message
    finish(empty, start(empty, (1.0, above)))
    for _ in range(240):
        empty.step()
    height_m = world.client.getBasePositionAndOrientation(box)[0][2]
    assert height_m > 0.15, "the box was not lifted"
    assert empty.readings.width_m == pytest.approx(0.04, abs=3e-3)
    opened = GripperCommand(GripperCommandKind.MOVE, 0.08, 0.1, 40.0)
    empty.gripper.start(opened, empty.readings.width_m)
    assert finish(empty, opened).success
    for _ in range(240):
        empty.step()
    assert world.client.getBasePositionAndOrientation(box)[0][2] < 0.09, "the box fell back"


def test_a_grasp_on_nothing_closes_and_fails_its_epsilon(empty):
    command = close_on(empty, 0.04, epsilon_m=0.005)
    assert not command.success
    assert empty.readings.width_m < 1e-3
    assert command.final_width_m == pytest.approx(empty.readings.width_m)


def test_a_wall_in_the_way_ends_in_a_reflex(empty):
    hand = empty.arm.link_poses()[empty.profile.hand_frame].translation
    empty.world.add_box(Box(hand + np.array([0.0, 0.25, 0.0]), np.array([0.6, 0.05, 0.8])))
    goal = finish(empty, start(empty, (1.5, empty.profile.home_rad + np.array([1.2, 0, 0, 0, 0, 0, 0]))))
    assert goal.outcome is TrajectoryOutcome.REFLEX
    assert "something holds the arm" in goal.message
    stopped = empty.readings.arm_positions.copy()
    for _ in range(120):
        empty.step()
    assert np.abs(empty.readings.arm_positions - stopped).max() < 0.1


def test_the_camera_sees_the_arm(empty):
    away = empty.render_depth()
    finish(empty, start(empty, (2.0, pointing_down(empty, [0.15, 0.15, 0.12]))))
    there = empty.render_depth()
    nearer = (there > 0) & ((away == 0) | (there < away - 0.01))
    assert nearer.sum() > 2000
    assert away.dtype == there.dtype == np.float32


@pytest.fixture
def box_folder(tmp_path):
    """An object set of one box."""
    trimesh.creation.box(extents=[0.05, 0.04, 0.08]).export(tmp_path / "box.obj")
    shape = '<geometry><mesh filename="box.obj"/></geometry>'
    (tmp_path / "box.urdf").write_text(
        '<robot name="box"><link name="box"><inertial><mass value="0.2"/>'
        '<inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial>'
        f"<visual>{shape}</visual><collision>{shape}</collision></link></robot>"
    )
    return tmp_path


def test_the_same_seed_goes_the_same_way(empty, box_folder):
    around = pointing_down(empty, [0.15, 0.15, 0.09])

    def attempt(seed):
        finish(empty, empty.reset_scene(SceneRequest("packed", str(box_folder), 4, seed)))
        finish(empty, start(empty, (1.5, around)))
        close_on(empty, 0.04)
        finish(empty, start(empty, (1.0, empty.profile.home_rad)))
        while empty.is_busy:
            empty.step()
        placed = [thing.T_workspace_object.as_matrix() for thing in empty.standing()]
        return np.array([*placed, np.diag([*empty.readings.arm_positions[:3], 1.0])]), empty.render_depth()

    poses, image = attempt(5)
    attempt(6)
    again, image_again = attempt(5)
    assert np.array_equal(poses, again)
    assert np.array_equal(image, image_again)


def test_the_bin_empties_itself_and_takes_nothing_out_of_a_hand_above_it(empty, box_folder):
    model = ObjectSet.named(str(box_folder))[0]
    rim_m = empty.cell.bin.centre_m[2] + empty.cell.bin.size_m[2]
    for height_m, left in ((rim_m + 0.05, 1), (rim_m - 0.05, 0)):
        x, y, _ = empty.cell.bin.centre_m
        added = empty.world.add_object(model, RigidTransform.from_translation([x, y, height_m]))
        empty.remove_delivered_and_fallen()
        assert len(empty.world.objects) == left
        if left:
            empty.world.remove(added.body_id)


def test_time_rises_over_resets(cell):
    before = cell.time_ns
    cell._populate(None)
    cell.step()
    assert cell.time_ns > before
