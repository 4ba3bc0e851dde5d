"""A PyBullet world whose frame is `workspace`: table, objects, time. The free hand and the mock arm both live in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pybullet
from numpy.typing import NDArray
from pybullet_utils.bullet_client import BulletClient
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M
from giga_sim.cell import Box
from giga_sim.object_sets import ObjectModel
from giga_sim.side_view_camera import PlacedMesh

STEP_RATE_HZ = 240
SOLVER_ITERATIONS = 150
GRAVITY_M_S2 = 9.81
TABLE_FRICTION = 0.5
OBJECT_FRICTION = 1.0
RESTING_VELOCITY = 0.01
"""Below this norm of linear and angular velocity together (m/s, rad/s) a body rests."""
REST_CHECK_STEPS = STEP_RATE_HZ // 4

DEFAULT_TABLE = Box(np.array([0.15, 0.15, TABLE_HEIGHT_M - 0.025]), np.array([1.2, 1.2, 0.05]))
"""The table of the free hand's world; the upper face is the table plane."""


@dataclass(frozen=True, eq=False)
class SimulatedObject:
    """An object in the world: PyBullet's body id, what it is, and its scale."""

    body_id: int
    model: ObjectModel
    scale: float


class PhysicsWorld:
    """Owns one PyBullet connection. `client` is open to whoever adds bodies of his own (arm, hand, bin)."""

    def __init__(self, gui: bool = False) -> None:
        self.client = BulletClient(pybullet.GUI if gui else pybullet.DIRECT)
        self._step = self.client.stepSimulation
        self.time_step_s = 1.0 / STEP_RATE_HZ
        self.time_s = 0.0
        self.objects: dict[int, SimulatedObject] = {}
        """The objects in the world, by body id, in the order in which they were added."""
        self.immovable: set[int] = set()
        """The boxes added by `add_box` and `add_table`."""
        self.reset()

    def close(self) -> None:
        """Disconnect; the world is gone."""
        self.client.disconnect()

    def reset(self) -> None:
        """Empty the world: no table, no object, nothing that others added; time zero."""
        self.client.resetSimulation()
        self.client.setPhysicsEngineParameter(
            fixedTimeStep=self.time_step_s, numSolverIterations=SOLVER_ITERATIONS, deterministicOverlappingPairs=1
        )
        self.client.setGravity(0.0, 0.0, -GRAVITY_M_S2)
        self.objects.clear()
        self.immovable.clear()
        self.time_s = 0.0

    def set_solver_iterations(self, count: int) -> None:
        """How often the contact solver goes over a step, until the next `reset` (SOLVER_ITERATIONS)."""
        self.client.setPhysicsEngineParameter(numSolverIterations=count)

    def step(self) -> None:
        """Advance by 1/240 s."""
        self._step()
        self.time_s += self.time_step_s

    def add_box(self, box: Box, friction: float = TABLE_FRICTION) -> int:
        """Add an immovable upright box; return its body id."""
        shape = self.client.createCollisionShape(pybullet.GEOM_BOX, halfExtents=(box.size_m / 2.0).tolist())
        body_id = self.client.createMultiBody(0.0, shape, basePosition=box.centre_m.tolist())
        self.client.changeDynamics(body_id, -1, lateralFriction=friction)
        self.immovable.add(int(body_id))
        return int(body_id)

    def add_table(self, table: Box = DEFAULT_TABLE) -> int:
        """Add the table; return its body id."""
        return self.add_box(table, TABLE_FRICTION)

    def add_object(self, model: ObjectModel, T_workspace_object: RigidTransform, scale: float = 1.0) -> SimulatedObject:
        """Add an object with its link frame at that pose, at rest."""
        body_id = self.client.loadURDF(
            str(model.urdf),
            T_workspace_object.translation.tolist(),
            T_workspace_object.rotation.as_quat().tolist(),
            globalScaling=scale,
            flags=pybullet.URDF_IGNORE_VISUAL_SHAPES,
        )
        self.client.changeDynamics(body_id, -1, lateralFriction=OBJECT_FRICTION)
        added = SimulatedObject(int(body_id), model, float(scale))
        self.objects[added.body_id] = added
        return added

    def remove(self, body_id: int) -> None:
        """Remove a body: an object, or one added by `add_box`."""
        self.client.removeBody(body_id)
        self.objects.pop(body_id, None)
        self.immovable.discard(body_id)

    def pose(self, body_id: int) -> RigidTransform:
        """T_workspace_object of an object: the pose of its link frame."""
        position, rotation_xyzw = self.client.getBasePositionAndOrientation(body_id)
        T_workspace_centre = RigidTransform.from_components(position, Rotation.from_quat(rotation_xyzw))
        simulated = self.objects[body_id]
        return T_workspace_centre * RigidTransform.from_translation(
            -simulated.model.inertial_origin_m * simulated.scale
        )

    def set_pose(self, body_id: int, T_workspace_object: RigidTransform) -> None:
        """Put an object's link frame there, at rest."""
        simulated = self.objects[body_id]
        T_workspace_centre = T_workspace_object * RigidTransform.from_translation(
            simulated.model.inertial_origin_m * simulated.scale
        )
        self.client.resetBasePositionAndOrientation(
            body_id, T_workspace_centre.translation.tolist(), T_workspace_centre.rotation.as_quat().tolist()
        )

    def placed_meshes(self) -> list[PlacedMesh]:
        """The surfaces of all objects where they are, for rendering."""
        return [
            PlacedMesh(simulated.model.surface, self.pose(body_id), simulated.scale)
            for body_id, simulated in self.objects.items()
        ]

    def lower_corner_m(self, body_id: int) -> NDArray[np.float64]:
        """The lower corner of a body's axis-aligned bounding box [3]."""
        return np.array(self.client.getAABB(body_id)[0])

    def has_contact(self, body_id: int) -> bool:
        """Whether the last step left any contact point at this body."""
        return bool(self.client.getContactPoints(body_id))

    def at_rest(self) -> bool:
        """Whether every object is slower than RESTING_VELOCITY."""
        return all(np.linalg.norm(self.client.getBaseVelocity(body_id)) <= RESTING_VELOCITY for body_id in self.objects)

    def wait_until_rest(self, timeout_s: float = 2.0) -> None:
        """Step until all objects rest, looked at four times a second, or the time is over."""
        end_s = self.time_s + timeout_s
        while self.time_s < end_s:
            for _ in range(REST_CHECK_STEPS):
                self.step()
            if self.at_rest():
                return

    def remove_outside_workspace(self) -> list[SimulatedObject]:
        """Remove the objects whose origin has left the cube; return them."""
        gone = []
        for body_id, simulated in list(self.objects.items()):
            position = self.pose(body_id).translation
            if np.any(position < 0.0) or np.any(position > WORKSPACE_SIZE_M):
                self.remove(body_id)
                gone.append(simulated)
        return gone

    def settle(self) -> None:
        """Wait until what remains rests, removing whatever leaves the cube."""
        self.wait_until_rest()
        while self.remove_outside_workspace():
            self.wait_until_rest()
