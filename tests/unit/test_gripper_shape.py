"""The drawn hand stands where the grasp is."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.gripper_shape import FINGER_OVERHANG_M, gripper_lines, gripper_solid
from giga_perception.quality_colour import quality_colour

POSE = RigidTransform.from_components([0.1, 0.2, 0.15], Rotation.from_euler("xyz", [170, 20, 40], degrees=True))


def test_fingers_reach_beyond_the_tcp_and_stand_a_width_apart() -> None:
    lines = POSE.inv().apply(gripper_lines(POSE, 0.06).reshape(-1, 3)).reshape(4, 2, 3)
    left, right, palm, stem = lines
    np.testing.assert_allclose(left[1], [0.0, -0.03, FINGER_OVERHANG_M], atol=1e-12)
    np.testing.assert_allclose(right[1], [0.0, 0.03, FINGER_OVERHANG_M], atol=1e-12)
    np.testing.assert_allclose(palm, [left[0], right[0]], atol=1e-12)
    assert stem[0][2] < stem[1][2] == palm[0][2] < 0.0


def test_the_solid_leaves_the_width_free_between_its_fingers() -> None:
    vertices, triangles = gripper_solid(POSE, 0.05)
    in_tcp = POSE.inv().apply(vertices)
    fingers = in_tcp[:16]
    assert np.abs(fingers[:, 1]).min() >= 0.025 - 1e-12
    assert in_tcp[:, 2].max() <= FINGER_OVERHANG_M + 1e-12
    assert triangles.min() == 0
    assert triangles.max() == len(vertices) - 1


def test_the_solid_is_closed_and_faces_outwards() -> None:
    vertices, triangles = gripper_solid(POSE, 0.05)
    corners = vertices[triangles]
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6.0
    boxes = vertices.reshape(4, 8, 3)
    # Corner 7 lies across from corner 0; corners 1, 2 and 4 are its neighbours.
    sides = np.linalg.norm(boxes[:, [1, 2, 4]] - boxes[:, :1], axis=2)
    np.testing.assert_allclose(volume, sides.prod(axis=1).sum(), rtol=1e-9)


def test_quality_colours_are_clipped_and_brighten() -> None:
    colours = quality_colour([-1.0, 0.0, 0.5, 1.0, 2.0])
    np.testing.assert_array_equal(colours[0], colours[1])
    np.testing.assert_array_equal(colours[3], colours[4])
    assert (np.diff(colours[[1, 2, 3]].sum(axis=1)) > 0).all()
