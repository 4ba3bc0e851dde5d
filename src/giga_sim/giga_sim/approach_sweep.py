"""All that the open hand passes through on its straight way to a grasp, asked about at once."""

from __future__ import annotations

import numpy as np
import pybullet
import trimesh
from scipy.spatial.transform import RigidTransform

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
        # Fingers first: they are the likelier to touch.
        for corners in open_hand_parts()[::-1]:
            ends = [corners - [0.0, 0.0, short_of_m], corners - [0.0, 0.0, length_m]]
            swept = np.asarray(trimesh.Trimesh(np.vstack(ends)).convex_hull.vertices)
            shape = client.createCollisionShape(pybullet.GEOM_MESH, vertices=swept.tolist())
            part = int(client.createMultiBody(0.0, shape, basePosition=position))
            client.setCollisionFilterGroupMask(part, -1, 0, 0)  # asked, never pushed against
            self._parts.append((part, swept))

    def clearance_m(self, T_workspace_grasp: RigidTransform, met_m: float, clear_m: float) -> float:
        """The distance between the way to this pose of the grasp origin and the nearest object or immovable box.

        inf beyond `clear_m` (at most BOX_SLACK_M). The first body as near as `met_m` ends the search.
        """
        position = T_workspace_grasp.translation
        rotation = T_workspace_grasp.rotation
        matrix, quaternion = rotation.as_matrix(), rotation.as_quat().tolist()
        nearest = float("inf")
        for part, corners in self._parts:
            swept = corners @ matrix.T + position
            near = np.all((swept.min(axis=0) <= self._upper) & (swept.max(axis=0) >= self._lower), axis=1)
            if not near.any():
                continue
            self._client.resetBasePositionAndOrientation(part, position.tolist(), quaternion)
            for index in np.flatnonzero(near):
                for found in self._client.getClosestPoints(part, self._bodies[index], clear_m):
                    nearest = min(nearest, found[8])
                if nearest <= met_m:
                    return nearest
        return nearest
