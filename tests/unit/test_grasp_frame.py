"""The one conversion between VGN's grasp origin and the TCP."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception import (
    GRASP_ORIGIN_TO_TCP_M,
    T_workspace_grasp_origin_from_tcp,
    T_workspace_tcp_from_grasp_origin,
)


def test_the_tcp_lies_ahead_of_the_origin_along_the_approach() -> None:
    # Approach straight down: the grasp's z axis points along the workspace's -z.
    T_workspace_grasp = RigidTransform.from_components([0.1, 0.2, 0.15], Rotation.from_quat([1, 0, 0, 0]))
    T_workspace_tcp = T_workspace_tcp_from_grasp_origin(T_workspace_grasp)
    np.testing.assert_allclose(T_workspace_tcp.translation, [0.1, 0.2, 0.15 - 0.0414], atol=1e-12)
    np.testing.assert_allclose(T_workspace_tcp.rotation.as_matrix(), T_workspace_grasp.rotation.as_matrix(), atol=1e-12)


def test_the_distance_is_that_of_the_hand_the_labels_come_from() -> None:
    # panda_hand to TCP, less panda_hand to grasp origin (centre of mass 0.040 and 0.022 beyond it).
    assert abs(GRASP_ORIGIN_TO_TCP_M - (0.1034 - (0.040 + 0.022))) < 1e-9


def test_the_two_directions_undo_each_other_for_many_poses() -> None:
    rng = np.random.default_rng(1)
    poses = RigidTransform.from_components(rng.uniform(0, 0.3, (20, 3)), Rotation.random(20, rng=rng))
    back = T_workspace_grasp_origin_from_tcp(T_workspace_tcp_from_grasp_origin(poses))
    np.testing.assert_allclose(back.as_matrix(), poses.as_matrix(), atol=1e-12)
