"""Ranked grasps as gripper shapes for RViz."""

from __future__ import annotations

from collections.abc import Sequence

from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from giga_perception.grasp import Grasp
from giga_perception.gripper_shape import gripper_lines
from giga_perception.quality_colour import quality_colour

NAMESPACE = "grasps"
_BEST_LINE_M = 0.004
_LINE_M = 0.002


def grasp_markers(grasps: Sequence[Grasp], header: Header) -> MarkerArray:
    """One LINE_LIST a grasp, best first, coloured by quality; the best is drawn thicker.

    ``header`` names the workspace frame, in which the grasps' poses are. The first marker removes earlier arrays'.
    """
    markers = [Marker(header=header, ns=NAMESPACE, action=Marker.DELETEALL)]
    for rank, grasp in enumerate(grasps):
        red, green, blue = (float(part) for part in quality_colour(grasp.quality))
        marker = Marker(header=header, ns=NAMESPACE, id=rank, type=Marker.LINE_LIST, action=Marker.ADD)
        marker.pose.orientation.w = 1.0
        marker.scale.x = _BEST_LINE_M if rank == 0 else _LINE_M
        marker.color = ColorRGBA(r=red, g=green, b=blue, a=1.0)
        ends = gripper_lines(grasp.T_workspace_tcp, grasp.width_m).reshape(-1, 3)
        marker.points = [Point(x=x, y=y, z=z) for x, y, z in ends.tolist()]
        markers.append(marker)
    return MarkerArray(markers=markers)
