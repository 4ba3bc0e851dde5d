"""Inverse kinematics: every branch reaches the pose, none is lost, limits hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from planning_cell import DOWN, URDF, arm, home, kinematics, profile, tcp_pose

from giga_grasping.arm_model import ArmModel, RobotDescriptionError
from giga_grasping.inverse_kinematics import InverseKinematics


def random_joints(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(profile().limits.lower_rad, profile().limits.upper_rad)


def test_each_solution_reaches_the_pose_within_the_limits() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        goal = arm().T_base_tcp(random_joints(rng))
        for joints in kinematics().solve(goal):
            off = goal.inv() * arm().T_base_tcp(joints)
            assert np.linalg.norm(off.translation) < 1e-7
            assert off.rotation.magnitude() < 1e-7
            assert profile().limits.margin_rad(joints) >= 0.0


def test_the_configuration_that_made_a_pose_is_among_its_solutions() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        joints = random_joints(rng)
        found = kinematics().solve(arm().T_base_tcp(joints), joints[6:7])
        assert np.abs(found - joints).max(axis=1).min() < 1e-5


def test_a_pose_over_the_table_has_several_branches() -> None:
    found = kinematics().solve(tcp_pose([0.15, 0.15, 0.15]))
    assert len(np.unique(np.sign(found[:, 1]))) == 1 or len(found) > 20
    # The elbow goes to the left and to the right.
    assert np.ptp(found[:, 2]) > 2.0
    assert len(found) > 20


@pytest.mark.parametrize("position_m", [[2.0, 0.0, 0.2], [0.15, 0.15, 1.6]])
def test_a_pose_out_of_reach_has_no_solution(position_m: list[float]) -> None:
    assert kinematics().solve(tcp_pose(position_m)).shape == (0, 7)


def test_refining_ends_at_the_pose_or_says_no() -> None:
    rng = np.random.default_rng(2)
    goal = arm().T_base_tcp(home())
    for _ in range(20):
        refined = kinematics().refine(home() + rng.uniform(-0.1, 0.1, 7), goal)
        assert refined is not None
        assert np.abs((goal.inv() * arm().T_base_tcp(refined)).as_matrix() - np.eye(4)).max() < 1e-6
    assert kinematics().refine(home(), tcp_pose([2.0, 0.0, 0.2])) is None


def test_the_tcp_lies_between_the_pads_as_the_profile_says() -> None:
    # At home the hand points straight down, its closing direction along y of the base.
    T_base_tcp = arm().T_base_tcp(home())
    np.testing.assert_allclose((DOWN.inv() * T_base_tcp.rotation).magnitude(), 0.0, atol=1e-5)
    volume = arm().closing_volume
    assert volume.upper_m[2] == pytest.approx(profile().tcp.finger_overhang_m)
    assert volume.upper_m[1] - volume.lower_m[1] == pytest.approx(profile().gripper_max_width_m)
    fingers = np.concatenate([points for body, points in arm().hand_points_m() if body.is_finger])
    assert fingers[:, 2].max() == pytest.approx(profile().tcp.finger_overhang_m, abs=1e-3)


def test_another_arm_is_refused() -> None:
    longer = URDF.read_text().replace('xyz="0 -0.316 0"', 'xyz="0.05 -0.316 0"')
    with pytest.raises(RobotDescriptionError, match="not built like a Panda"):
        InverseKinematics(ArmModel(longer, profile(), URDF.parent))


def test_a_description_without_the_profiles_joints_is_refused_by_name() -> None:
    renamed = URDF.read_text().replace("panda_joint4", "elbow")
    with pytest.raises(RobotDescriptionError, match="panda_joint4"):
        ArmModel(renamed, profile(), URDF.parent)


def test_a_missing_mesh_is_named() -> None:
    with pytest.raises(RobotDescriptionError, match=r"link0\.obj"):
        ArmModel(URDF.read_text(), profile(), URDF.parent / "nowhere")


def test_a_description_from_a_folder_with_a_space_and_a_tcp_link_of_its_own_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "my robot"
    shutil.copytree(URDF.parent / "meshes" / "collision", folder / "meshes" / "collision")
    shutil.copytree(URDF.parent / "meshes" / "visual", folder / "meshes" / "visual")
    own_tcp = """<link name="panda_hand_tcp"/><joint name="tcp" type="fixed"><parent link="panda_hand"/>
        <child link="panda_hand_tcp"/><origin xyz="0 0 0.2"/></joint></robot>"""
    urdf = URDF.read_text().replace("package://", f"{folder.as_uri()}/").replace("</robot>", own_tcp)
    read = ArmModel(urdf, profile())
    np.testing.assert_allclose(read.T_base_tcp(home()).as_matrix(), arm().T_base_tcp(home()).as_matrix(), atol=1e-12)
