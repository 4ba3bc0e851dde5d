"""The best grasps tried on the predicted scene before one is chosen for the real one.

The network's occupancy becomes bodies of a world of its own (`convex_pieces`); the free hand tries the first few grasps
there one after the other, by the benchmark's rule, until one lifts something. That one comes first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pybullet
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from giga_perception.grasp import Grasp, T_workspace_grasp_origin_from_tcp
from giga_perception.grasp_judge import ShapeQuery
from giga_perception.occupancy_lattice import occupancy_lattice
from giga_sim.convex_pieces import Piece, convex_pieces
from giga_sim.grasp_trial import TrialOutcome, try_for_benchmark
from giga_sim.gripper_hand import PARKED, GripperHand
from giga_sim.physics_world import OBJECT_FRICTION, PhysicsWorld

# Cells a side of the lattice: the network's own grid.
LATTICE_CELLS = 40
# What the pieces weigh, and between which bounds.
DENSITY_KG_M3 = 400.0
MASS_KG = (0.02, 0.5)

# Gravity there: small, so that a piece that stands badly for want of a predicted back does not fall over before the
# hand is there.
GRAVITY_M_S2 = 1.0
# Of the contact solver; the real trials take three times as many.
SOLVER_ITERATIONS = 50


class ImaginedTrials:
    """Puts the first grasp that holds on the predicted scene before the others: a `detection.Foresight`.

    It owns a world, so it serves one thread at a time.
    """

    def __init__(self, tries: int) -> None:
        """tries: grasps tried at most."""
        if tries < 1:
            raise ValueError(f"imagined trials need at least 1 try, got {tries}")
        self._tries = tries
        self._world = PhysicsWorld()

    def __call__(self, scene: object, grasps: tuple[Grasp, ...]) -> tuple[Grasp, ...]:
        """The same grasps. Those that failed before the first success come after it; without one the order stays.

        scene: the `SceneQuery` they came from. Raises ValueError when it predicts no shape.
        """
        if not isinstance(scene, ShapeQuery):
            raise ValueError("imagined trials need a network that predicts geometry")
        hand = self.build(scene)
        outcomes = self.try_in_turn(hand, grasps[: self._tries])
        if not outcomes or not outcomes[-1].success:
            return grasps
        first = len(outcomes) - 1
        return (grasps[first], *grasps[:first], *grasps[first + 1 :])

    def build(self, query: ShapeQuery) -> GripperHand:
        """Put the predicted pieces on a table; return the hand that is to try grasps there."""
        world = self._world
        world.reset()
        world.set_solver_iterations(SOLVER_ITERATIONS)
        world.client.setGravity(0.0, 0.0, -GRAVITY_M_S2)
        # Each piece is a file of the same name as another was.
        world.client.setPhysicsEngineParameter(enableFileCaching=0)
        world.add_table()
        for piece in convex_pieces(occupancy_lattice(query.occupancy, LATTICE_CELLS)):
            _add(world, piece)
        return GripperHand(world)

    def try_in_turn(self, hand: GripperHand, grasps: Sequence[Grasp]) -> list[TrialOutcome]:
        """The outcomes of the grasps on the scene as it was built, up to the first success."""
        client = self._world.client
        before = client.saveState()
        outcomes = []
        for grasp in grasps:
            T_workspace_grasp = T_workspace_grasp_origin_from_tcp(grasp.T_workspace_tcp)
            outcomes.append(try_for_benchmark(self._world, hand, T_workspace_grasp))
            if outcomes[-1].success:
                break
            hand.teleport(PARKED)
            client.restoreState(before)
        client.removeState(before)
        return outcomes


def _add(world: PhysicsWorld, piece: Piece) -> None:
    middle = np.mean([part.mean(axis=0) for part in piece.parts], axis=0)
    mass_kg = float(np.clip(DENSITY_KG_M3 * piece.volume_m3, *MASS_KG))
    # PyBullet takes several convex parts for one body from a file only, and reads it again for the body's looks.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "piece.obj"
        path.write_text(_obj_text([part - middle for part in piece.parts]))
        shape = world.client.createCollisionShape(pybullet.GEOM_MESH, fileName=str(path))
        body = world.client.createMultiBody(mass_kg, shape, basePosition=middle.tolist())
    world.client.changeDynamics(body, -1, lateralFriction=OBJECT_FRICTION)


def _obj_text(parts: Sequence[NDArray[np.float64]]) -> str:
    """A Wavefront file with an object for each convex part, given by its corners [n, 3]."""
    lines, before = [], 1
    for number, corners in enumerate(parts):
        lines.append(f"o part{number}")
        lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in corners]
        lines += [f"f {a + before} {b + before} {c + before}" for a, b, c in ConvexHull(corners).simplices]
        before += len(corners)
    return "\n".join(lines) + "\n"
