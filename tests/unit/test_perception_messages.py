"""Conversions between messages and the library's types; no middleware runs."""

from __future__ import annotations

import array

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

import trimesh
from geometry_msgs.msg import Pose
from scipy.spatial.transform import RigidTransform, Rotation
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from giga_perception.cloud_messages import cloud_message
from giga_perception.detection_report import DetectionCounts
from giga_perception.grasp import Grasp
from giga_perception.grasp_messages import grasp_array_message, grasp_from_message, report_message
from giga_perception.marker_messages import grasp_markers
from giga_perception.mesh_messages import mesh_marker, mesh_message
from giga_perception.transform_messages import transform_from_pose

POSE = RigidTransform.from_components([0.1, 0.2, 0.15], Rotation.from_euler("xyz", [170, 20, 40], degrees=True))
HEADER = Header(frame_id="workspace")


def test_grasps_go_to_the_arrays_frame_and_back() -> None:
    T_frame_workspace = RigidTransform.from_components([1.0, 2.0, 3.0], Rotation.from_euler("z", 90, degrees=True))
    grasp = Grasp(POSE, np.float32(0.04), np.float32(0.9))
    report = DetectionCounts(message="why", model="m", after_nms=1, total_ms=3.5)
    message = grasp_array_message([grasp], report, T_frame_workspace, HEADER)
    np.testing.assert_allclose(
        transform_from_pose(message.grasps[0].pose).as_matrix(), (T_frame_workspace * POSE).as_matrix(), atol=1e-12
    )
    back = grasp_from_message(message.grasps[0], T_frame_workspace.inv())
    np.testing.assert_allclose(back.T_workspace_tcp.as_matrix(), POSE.as_matrix(), atol=1e-12)
    assert back.width_m == pytest.approx(0.04)
    assert message.report == report_message(report)
    assert (message.report.message, message.report.model, message.report.total_ms) == ("why", "m", 3.5)


@pytest.mark.parametrize(("w", "x"), [(0.0, 0.0), (2.0, 0.0), (1.0, float("nan"))])
def test_a_pose_that_is_none_is_refused(w: float, x: float) -> None:
    pose = Pose()
    pose.orientation.w, pose.position.x = w, x
    with pytest.raises(ValueError, match=r"rotation|finite"):
        transform_from_pose(pose)


def test_a_cloud_holds_its_points_and_values() -> None:
    points, values = np.array([[0.1, 0.2, 0.3], [0.0, -1.0, 2.0]]), np.array([0.5, 0.75])
    cloud = cloud_message(points, values, "quality", HEADER)
    assert (cloud.width, cloud.height, cloud.point_step, cloud.row_step) == (2, 1, 16, 32)
    assert isinstance(cloud.data, array.array)
    rows = np.frombuffer(cloud.data, "<f4").reshape(2, 4)
    np.testing.assert_allclose(rows, np.column_stack([points, values]), rtol=1e-6)
    assert cloud_message(np.empty((0, 3)), np.empty(0), "quality", HEADER).width == 0


def test_a_mesh_for_planners_and_for_rviz() -> None:
    box = trimesh.creation.box((0.1, 0.1, 0.1))
    message, marker = mesh_message(box), mesh_marker(box, HEADER)
    vertices = np.array([[p.x, p.y, p.z] for p in message.vertices])
    corners = np.array([triangle.vertex_indices for triangle in message.triangles])
    np.testing.assert_allclose(vertices[corners], box.triangles)
    assert (marker.type, marker.action) == (Marker.TRIANGLE_LIST, Marker.ADD)
    np.testing.assert_allclose(np.array([[p.x, p.y, p.z] for p in marker.points]).reshape(-1, 3, 3), box.triangles)
    assert mesh_marker(trimesh.Trimesh(), HEADER).action == Marker.DELETE


def test_markers_replace_the_ones_before_and_show_the_best_thickest() -> None:
    markers = grasp_markers([Grasp(POSE, 0.04, 0.9), Grasp(POSE, 0.05, 0.2)], HEADER).markers
    assert [marker.action for marker in markers] == [Marker.DELETEALL, Marker.ADD, Marker.ADD]
    assert markers[1].scale.x > markers[2].scale.x
    assert markers[1].color != markers[2].color
    assert len(markers[1].points) == 8
    assert {marker.id for marker in markers[1:]} == {0, 1}
