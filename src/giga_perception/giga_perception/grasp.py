"""A grasp, and the one conversion between the network's grasp frame and the tool centre point (TCP).

The network, its labels and the hand trials speak of VGN's *grasp origin*: near the finger roots, z along the approach,
y along the closing direction. The outside world speaks of the TCP, the point between the finger pads. Both frames have
the same axes; in the simulation that the labels come from, the origin is panda_hand + 0.062 m, the TCP panda_hand +
0.1034 m.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.spatial.transform import RigidTransform

# Distance from the grasp origin to the TCP along the approach (z), in metres.
GRASP_ORIGIN_TO_TCP_M = 0.0414


@dataclass(frozen=True, eq=False)
class Grasp:
    """One parallel-jaw grasp.

    T_workspace_tcp: pose of the TCP in the workspace, in metres; z along the approach, y along the closing direction.
        Turned by 180 degrees about its z it is the same grasp.
    width_m: distance between the pads while the object is held; not the opening to approach with.
    quality: predicted probability of success, 0 to 1.
    """

    T_workspace_tcp: RigidTransform
    width_m: float
    quality: float


def T_workspace_tcp_from_grasp_origin(T_workspace_grasp: RigidTransform) -> RigidTransform:
    """TCP pose(s) of grasp pose(s) given in VGN's grasp-origin frame; single or stacked transforms."""
    return T_workspace_grasp * RigidTransform.from_translation([0.0, 0.0, GRASP_ORIGIN_TO_TCP_M])


def T_workspace_grasp_origin_from_tcp(T_workspace_tcp: RigidTransform) -> RigidTransform:
    """The inverse: VGN's grasp-origin pose(s) of TCP pose(s); single or stacked transforms."""
    return T_workspace_tcp * RigidTransform.from_translation([0.0, 0.0, -GRASP_ORIGIN_TO_TCP_M])
