"""The affordance landscape as a marker for RViz; no middleware runs."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

import trimesh
from scipy.spatial.transform import RigidTransform
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from giga_perception.affordance_landscape import affordance_landscape
from giga_perception.mesh_messages import affordance_surface_marker

HEADER = Header(frame_id="workspace")


def test_a_landscape_for_rviz_has_the_colour_of_each_corner() -> None:
    box = trimesh.creation.box((0.1, 0.1, 0.1), RigidTransform.from_translation([0.15, 0.15, 0.15]).as_matrix())
    quality = np.zeros((40, 40, 40), np.float32)
    quality[13, 13, 26] = 0.9
    landscape = affordance_landscape(box, quality)
    marker = affordance_surface_marker(landscape, HEADER)
    assert (marker.ns, marker.type, marker.action) == ("affordance_surface", Marker.TRIANGLE_LIST, Marker.ADD)
    assert marker.header == HEADER
    np.testing.assert_allclose(np.array([[p.x, p.y, p.z] for p in marker.points]).reshape(-1, 3, 3), box.triangles)
    colours = np.array([[colour.r, colour.g, colour.b] for colour in marker.colors]).reshape(-1, 3, 3)
    np.testing.assert_allclose(colours, landscape.colours()[box.faces], atol=1e-6)
    assert {colour.a for colour in marker.colors} == {1.0}
    assert affordance_surface_marker(affordance_landscape(trimesh.Trimesh(), quality), HEADER).action == Marker.DELETE
