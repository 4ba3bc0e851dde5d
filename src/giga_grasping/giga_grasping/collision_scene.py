"""Is a configuration of the arm free of contact?

Pinocchio and coal compare the convex hulls of the links with each other, with the cell's fixed obstacles and with what
was perceived. Which pairs are compared, and how far apart they have to stay, is a `CollisionRule`: one for motions in
the open, one with an object in the hand, one for the straight ways to and from a grasp.
"""

from __future__ import annotations

from dataclasses import dataclass

import coal
import numpy as np
import pinocchio
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_grasping.arm_model import ArmModel, LinkBody, se3
from giga_grasping.cell import BoxObstacle
from giga_grasping.convex_hull import convex_shape, shrunken_hull, triangle_tree
from giga_grasping.scene_store import EMPTY_SCENE, PerceivedScene

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_HELD_OBJECT = "held_object"
_HELD_PADDING_M = 0.001


@dataclass(frozen=True)
class Clearances:
    """How far bodies stay apart, in metres. Below zero: the depth of a contact that is tolerated."""

    links_fixed_m: float = 0.005
    """Arm and hand to table, bin, stand."""
    fingers_fixed_m: float = 0.002
    """Fingers to table, bin, stand."""
    links_scene_m: float = 0.005
    """Arm and hand to the perceived scene, in the open."""
    fingers_scene_m: float = 0.003
    """Fingers to the perceived scene, in the open."""
    hand_grasp_m: float = -0.004
    """Hand to the perceived scene, on the straight ways: a palm may touch."""
    fingers_rest_m: float = -0.006
    """Fingers to what is not the target, on the straight ways: the mesh is good to a voxel (7.5 mm)."""
    held_fixed_m: float = 0.005
    """Held object to table, bin, stand."""
    roomy_m: float = 0.03
    """Arm without the hand to everything, where there is a choice."""
    held_scene_m: float = 0.0
    """Held object to the perceived scene."""


@dataclass(frozen=True)
class Contact:
    """Two bodies closer than they may be."""

    first: str
    second: str
    is_perceived: bool
    """One of the two is perceived matter or the held object, which may be wrong by a voxel."""


@dataclass(frozen=True)
class _Body:
    """A shape on a joint (0 = fixed) with its place there."""

    name: str
    joint: int
    T_joint_body: RigidTransform
    shape: coal.CollisionGeometry
    is_perceived: bool = False


_Pair = tuple[_Body, _Body, float]


class CollisionRule:
    """Pairs of bodies and the clearance of each. Not thread-safe."""

    def __init__(self, arm: ArmModel, pairs: list[_Pair]) -> None:
        self._model = arm.model
        self._data = arm.model.createData()
        self._geometry = pinocchio.GeometryModel()
        indices: dict[int, int] = {}
        for pair in pairs:
            for body in pair[:2]:
                if id(body) not in indices:
                    geometry = pinocchio.GeometryObject(body.name, body.joint, se3(body.T_joint_body), body.shape)
                    indices[id(body)] = self._geometry.addGeometryObject(geometry)
            self._geometry.addCollisionPair(pinocchio.CollisionPair(indices[id(pair[0])], indices[id(pair[1])]))
        self._geometry_data = self._geometry.createData()
        for request, (_, _, clearance_m) in zip(self._geometry_data.collisionRequests, pairs, strict=True):
            request.security_margin = clearance_m
        self._pairs = pairs

    def is_free(self, joints_rad: FloatArray) -> bool:
        """Whether every pair keeps its clearance in the configuration [7]."""
        return not pinocchio.computeCollisions(
            self._model, self._data, self._geometry, self._geometry_data, joints_rad, True
        )

    def contacts(self, joints_rad: FloatArray) -> tuple[Contact, ...]:
        """Every pair that does not."""
        pinocchio.computeCollisions(self._model, self._data, self._geometry, self._geometry_data, joints_rad, False)
        results = self._geometry_data.collisionResults
        return tuple(
            Contact(first.name, second.name, first.is_perceived or second.is_perceived)
            for (first, second, _), result in zip(self._pairs, results, strict=True)
            if result.isCollision()
        )


class CollisionScene:
    """The arm among the obstacles of one scene: the rules that a motion has to keep."""

    def __init__(
        self,
        arm: ArmModel,
        obstacles: tuple[BoxObstacle, ...],
        scene: PerceivedScene = EMPTY_SCENE,
        clearances: Clearances | None = None,
        self_pairs: tuple[tuple[int, int], ...] | None = None,
    ) -> None:
        """Build the scene.

        Args:
            arm: the arm; its own forward kinematics data is not touched.
            obstacles: fixed boxes, base frame.
            scene: what was perceived.
            clearances: None = the defaults.
            self_pairs: the result of `self_collision_pairs` for this arm (it takes a while, so compute it once).

        Raises:
            ValueError: a clearance below zero is deeper than a finger or the hand is thick.
        """
        self._arm = arm
        self._scene = scene
        self._clearances = clearances or Clearances()
        links = [_Body(body.name, body.joint, body.T_joint_body, convex_shape(body.points_m)) for body in arm.bodies]
        # The base is bolted down: it stands on the table and goes nowhere.
        self._moving = [(link, body) for link, body in zip(links, arm.bodies, strict=True) if body.joint != 0]
        self._fixed = [_Body(box.name, 0, box.T_base_box, coal.Box(box.size_m)) for box in obstacles]
        self._perceived = [_Body(box.name, 0, box.T_base_box, coal.Box(box.size_m), True) for box in scene.unseen]
        if len(scene.triangles):
            tree = triangle_tree(scene.vertices_m, scene.triangles)
            self._perceived.append(_Body("scene", 0, RigidTransform.identity(), tree, True))
        self._self_pairs: list[_Pair] = [
            (links[i], links[j], 0.0) for i, j in (self_pairs if self_pairs is not None else self_collision_pairs(arm))
        ]
        self._tolerant = {
            link.name: _shrunken(
                link, body, self._clearances.fingers_rest_m if body.is_finger else self._clearances.hand_grasp_m
            )
            for link, body in self._moving
            if body.is_finger or body.link == arm.profile.hand_frame
        }
        self.in_the_open = CollisionRule(arm, self._open_pairs())
        """Every body keeps its clearance from everything."""

        roomy = self._clearances.roomy_m
        self.with_room = CollisionRule(
            arm,
            [(link, obstacle, roomy) for link, _ in self._arm_only() for obstacle in self._fixed + self._perceived]
            + [(first, second, 0.5 * roomy) for first, second, _ in self._self_pairs],
        )
        """The arm without its hand keeps clear by `roomy_m`: a preference, not a rule."""

    def with_held_object(self, points_m: FloatArray) -> CollisionRule:
        """The open's rule with an object between the fingers: the convex hull of points [N, 3] in the TCP frame."""
        # A surface seen from one side may be flat, and a flat hull is none: every point becomes a small octahedron.
        padding = _HELD_PADDING_M * np.concatenate([np.eye(3), -np.eye(3)])
        padded = (points_m[:, None, :] + padding).reshape(-1, 3)
        held = _Body(_HELD_OBJECT, self._arm.tcp_joint, self._arm.T_joint_tcp, convex_shape(padded), True)
        c = self._clearances
        pairs = self._open_pairs()
        pairs += [(held, obstacle, c.held_fixed_m) for obstacle in self._fixed]
        pairs += [(held, obstacle, c.held_scene_m) for obstacle in self._perceived]
        # The hand and the last links belong together with what they hold.
        pairs += [(held, link, 0.0) for link, body in self._moving if body.joint < self._arm.tcp_joint - 1]
        return CollisionRule(self._arm, pairs)

    def at_grasp(self, target: BoolArray, nearby: BoolArray) -> CollisionRule:
        """The rule on the straight ways to and from a grasp.

        The fingers may touch the target and are kept from the rest by `fingers_rest_m`; the hand may touch by
        `hand_grasp_m`, because a palm may, and because the mesh is good to a voxel (7.5 mm) only. What hides behind
        the target is unseen, so the fingers may go there.

        Args:
            target: [T], the scene's triangles that the fingers may touch.
            nearby: [T], those that the fingers can come near to; the others are left out to save time.
        """
        c = self._clearances
        rest_triangles = self._scene.triangles[nearby & ~target]
        rest: list[_Body] = []
        if len(rest_triangles):
            used, renumbered = np.unique(rest_triangles, return_inverse=True)
            tree = triangle_tree(self._scene.vertices_m[used], renumbered.reshape(-1, 3))
            rest.append(_Body("rest", 0, RigidTransform.identity(), tree, True))
        pairs = self._fixed_pairs() + list(self._self_pairs)
        for link, body in self._moving:
            if body.is_finger:
                pairs += [(self._tolerant[link.name], obstacle, max(0.0, c.fingers_rest_m)) for obstacle in rest]
            elif body.link == self._arm.profile.hand_frame:
                tolerant = self._tolerant[link.name]
                pairs += [(tolerant, obstacle, max(0.0, c.hand_grasp_m)) for obstacle in self._perceived]
            else:
                pairs += [(link, obstacle, 0.0) for obstacle in self._perceived]
        return CollisionRule(self._arm, pairs)

    def _arm_only(self) -> list[tuple[_Body, LinkBody]]:
        hand = self._arm.profile.hand_frame
        return [(link, body) for link, body in self._moving if not body.is_finger and body.link != hand]

    def _open_pairs(self) -> list[_Pair]:
        c = self._clearances
        return (
            self._fixed_pairs()
            + [
                (link, obstacle, c.fingers_scene_m if body.is_finger else c.links_scene_m)
                for link, body in reversed(self._moving)
                for obstacle in self._perceived
            ]
            + self._self_pairs
        )

    def _fixed_pairs(self) -> list[_Pair]:
        c = self._clearances
        return [
            (link, obstacle, c.fingers_fixed_m if body.is_finger else c.links_fixed_m)
            for link, body in reversed(self._moving)  # the hand first: it meets obstacles soonest
            for obstacle in self._fixed
        ]


def _shrunken(link: _Body, body: LinkBody, clearance_m: float) -> _Body:
    """The link itself, or one thinner by the depth that a clearance below zero tolerates."""
    if clearance_m >= 0.0:
        return link
    return _Body(link.name, link.joint, link.T_joint_body, convex_shape(shrunken_hull(body.points_m, -clearance_m)))


def self_collision_pairs(arm: ArmModel, samples: int = 400) -> tuple[tuple[int, int], ...]:
    """Pairs of the arm's bodies that can touch: not neighbours, and not touching in nearly every configuration.

    Returns:
        Indices into `arm.bodies`, in order.
    """
    shapes = [convex_shape(body.points_m) for body in arm.bodies]
    parents = list(arm.model.parents)
    candidates = [
        (i, j)
        for i, first in enumerate(arm.bodies)
        for j, second in enumerate(arm.bodies)
        if i < j and not _neighbours(first, second, parents)
    ]
    geometry = pinocchio.GeometryModel()
    for body, shape in zip(arm.bodies, shapes, strict=True):
        geometry.addGeometryObject(pinocchio.GeometryObject(body.name, body.joint, se3(body.T_joint_body), shape))
    for i, j in candidates:
        geometry.addCollisionPair(pinocchio.CollisionPair(i, j))
    data, geometry_data = arm.model.createData(), geometry.createData()
    rng = np.random.default_rng(0)
    limits = arm.profile.limits
    touching = np.zeros(len(candidates))
    for _ in range(samples):
        joints = rng.uniform(limits.lower_rad, limits.upper_rad)
        pinocchio.computeCollisions(arm.model, data, geometry, geometry_data, joints, False)
        touching += [result.isCollision() for result in geometry_data.collisionResults]
    return tuple(pair for pair, count in zip(candidates, touching, strict=True) if count < 0.95 * samples)


def _neighbours(first: LinkBody, second: LinkBody, parents: list[int]) -> bool:
    """Whether two bodies hang on the same joint or on two joints that follow each other."""
    return first.joint == second.joint or parents[second.joint] == first.joint or parents[first.joint] == second.joint
