"""All that the open hand passes through on its straight way to a grasp, asked about at once."""

from __future__ import annotations

from functools import cache

import numpy as np
import pybullet
import trimesh
from numpy.typing import NDArray

from giga_sim.gripper_hand import PARKED, open_hand_parts
from giga_sim.physics_world import PhysicsWorld

# Boxes further apart than this are not asked about: more than PyBullet's margins around both shapes.
BOX_SLACK_M = 0.005


class ApproachSweep:
    """The swept hand, as one convex body for each of its parts: the hull of the part's first and its last place.

    Made for a scene that does not move while this is asked.
    """

    def __init__(self, world: PhysicsWorld, length_m: float, short_of_m: float) -> None:
        """length_m: from the pre-grasp to the grasp; the sweep ends `short_of_m` before the grasp."""
        self._client = client = world.client
        self._bodies = (*world.immovable, *world.objects)
        boxes = np.array([client.getAABB(body) for body in self._bodies]).reshape(-1, 2, 3)
        self._lower, self._upper = boxes[:, 0] - BOX_SLACK_M, boxes[:, 1] + BOX_SLACK_M
        position = PARKED.translation.tolist()
        self._parts = []
        swept_parts = _swept_parts(length_m, short_of_m)
        for corners in swept_parts:
            shape = client.createCollisionShape(pybullet.GEOM_MESH, vertices=corners.tolist())
            part = int(client.createMultiBody(0.0, shape, basePosition=position))
            client.setCollisionFilterGroupMask(part, -1, 0, 0)  # asked, never pushed against
            self._parts.append(part)
        self._corners = np.vstack(swept_parts)
        self._first_corners = np.cumsum([0, *(len(corners) for corners in swept_parts[:-1])])

    def clearance_m(
        self, T_workspace_grasp: NDArray[np.float64], rotation_xyzw: NDArray[np.float64], met_m: float, clear_m: float
    ) -> float:
        """The distance between the way to this pose of the grasp origin and the nearest object or immovable box.

        T_workspace_grasp: [4, 4], and its rotation once more. Returns inf beyond `clear_m` (at most BOX_SLACK_M). The
        first body as near as `met_m` ends the search.
        """
        position = T_workspace_grasp[:3, 3]
        swept = self._corners @ T_workspace_grasp[:3, :3].T + position
        lower = np.minimum.reduceat(swept, self._first_corners)[:, None]
        upper = np.maximum.reduceat(swept, self._first_corners)[:, None]
        nearest, last = float("inf"), -1
        for index, body in np.argwhere(np.all((lower <= self._upper) & (upper >= self._lower), axis=2)).tolist():
            if index != last:
                self._client.resetBasePositionAndOrientation(
                    self._parts[index], position.tolist(), rotation_xyzw.tolist()
                )
                last = index
            for found in self._client.getClosestPoints(self._parts[index], self._bodies[body], clear_m):
                nearest = min(nearest, found[8])
            if nearest <= met_m:
                break
        return nearest


@cache
def _swept_parts(length_m: float, short_of_m: float) -> tuple[NDArray[np.float64], ...]:
    """The corners [n, 3] of each swept part, in the frame of the grasp origin; fingers first: they touch more often."""
    parts = []
    for corners in open_hand_parts()[::-1]:
        ends = [corners - [0.0, 0.0, short_of_m], corners - [0.0, 0.0, length_m]]
        parts.append(np.asarray(trimesh.Trimesh(np.vstack(ends)).convex_hull.vertices))
    return tuple(parts)
