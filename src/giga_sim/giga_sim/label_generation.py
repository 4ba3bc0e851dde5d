"""One labelled scene: objects on a table, what the camera sees, which grasps hold, where matter is."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.camera import DepthView, PinholeCamera
from giga_perception.dataset import LabelledScene, occupancy_points_m
from giga_perception.workspace import WORKSPACE_SIZE_M
from giga_sim.camera_views import draw_random_view, ring_of_views
from giga_sim.grasp_trial import TrialEnd, TrialOutcome
from giga_sim.gripper_hand import GripperHand
from giga_sim.label_trials import LabelTrials
from giga_sim.object_sets import ObjectSet, Split
from giga_sim.physics_world import DEFAULT_TABLE, PhysicsWorld
from giga_sim.reference_trials import ReferenceTrials
from giga_sim.scenes import SceneKind, draw_object_count, make_scene
from giga_sim.side_view_camera import CAMERA, render_depth, side_view, visible_surface
from giga_sim.yaw_choice import YAW_COUNT, middle_of_widest_run, next_yaw

FINGER_DEPTH_M = 0.05
DEPTH_MARGIN = 0.1
LEAST_NORMAL_Z = -0.1
# The surface that points are drawn from is what this many views around the workspace see, as if fused.
SURFACE_VIEW_COUNT = 6
# Every fourth pixel of the camera: far more points than are drawn.
SURFACE_CAMERA = PinholeCamera(width=160, height=120, fx=135.0, fy=135.0, cx=80.0, cy=60.0)
# Random views come from a stream of their own: a scene and its labels are the same with and without them.
_VIEW_STREAM = 1

Trial = Callable[[RigidTransform], TrialOutcome]


@dataclass(frozen=True)
class GenerationSettings:
    """What is drawn for each scene, and whether its grasps are tried the plain way, as a reference (much slower).

    The side view is always stored; random_views and ring_views say how many others (camera_views.py). They change
    nothing else about a scene.
    """

    points_per_scene: int = 48
    reference: bool = False
    random_views: int = 0
    ring_views: int = 0


@dataclass
class PointLabels:
    """Labels gathered point by point."""

    centres_m: list[NDArray[np.float64]] = field(default_factory=list)
    rotations_xyzw: list[NDArray[np.float64]] = field(default_factory=list)
    widths_m: list[float] = field(default_factory=list)
    successes: list[bool] = field(default_factory=list)
    trials: list[TrialOutcome | None] = field(default_factory=list)
    """How each yaw ended, six a point; None for one that was not tried, since the label does not depend on it."""


@dataclass(frozen=True, eq=False)
class PreparedScene:
    """A scene that stands in a world, before any grasp is tried.

    depth_m: [H, W] clean, from the side view. occupancy: [P] of the fixed points.
    points_m, normals: [n, 3], where to grasp.
    """

    object_names: tuple[str, ...]
    depth_m: NDArray[np.float32]
    occupancy: NDArray[np.bool_]
    points_m: NDArray[np.float64]
    normals: NDArray[np.float64]
    rng: np.random.Generator


def generate_scene(
    world: PhysicsWorld, kind: SceneKind, objects: ObjectSet, split: Split, seed: int, settings: GenerationSettings
) -> LabelledScene | None:
    """Make the scene of a seed and label it; None when nothing stayed on the table.

    `objects` must hold objects of that split only. The same arguments give the same scene.
    """
    prepared = prepare_scene(world, kind, objects, seed, settings.points_per_scene)
    if prepared is None:
        return None
    other_views = render_other_views(world, kind, seed, settings)
    trial = ReferenceTrials(world) if settings.reference else LabelTrials(world, GripperHand(world))
    labels = label_points(trial, prepared)
    return LabelledScene(
        seed=seed,
        scene=kind,
        object_names=prepared.object_names,
        depth_m=prepared.depth_m,
        camera=CAMERA,
        T_camera_workspace=side_view(),
        centres_m=np.asarray(labels.centres_m, dtype=np.float32),
        rotations_xyzw=np.asarray(labels.rotations_xyzw, dtype=np.float32),
        widths_m=np.asarray(labels.widths_m, dtype=np.float32),
        successes=np.asarray(labels.successes, dtype=bool),
        occupancy=prepared.occupancy,
        split="train" if split == "train" else "val",
        other_views=other_views,
    )


def prepare_scene(
    world: PhysicsWorld, kind: SceneKind, objects: ObjectSet, seed: int, point_count: int
) -> PreparedScene | None:
    """Make the scene of a seed, look at it and draw the points; None when nothing stayed on the table."""
    rng = np.random.default_rng(_streams_of(kind, seed))
    world.reset()
    world.add_table()
    make_scene(world, kind, objects, draw_object_count(rng), rng)
    if not world.objects:
        return None
    depth_m = render_depth(world.placed_meshes(), CAMERA, side_view(), table=DEFAULT_TABLE)
    occupancy = occupied(world, occupancy_points_m())
    names = tuple(simulated.model.name for simulated in world.objects.values())
    points_m, normals = draw_surface_points(world, rng, point_count)
    return PreparedScene(names, depth_m, occupancy, points_m, normals, rng) if len(points_m) else None


def render_other_views(
    world: PhysicsWorld, kind: SceneKind, seed: int, settings: GenerationSettings
) -> tuple[DepthView, ...]:
    """Clean images of the scene that stands in a world: first those drawn at random, then those of the ring."""
    rng = np.random.default_rng([*_streams_of(kind, seed), _VIEW_STREAM])
    poses = [draw_random_view(rng) for _ in range(settings.random_views)] + ring_of_views(settings.ring_views)
    meshes = world.placed_meshes() if poses else []
    return tuple(DepthView(render_depth(meshes, CAMERA, pose, table=DEFAULT_TABLE), CAMERA, pose) for pose in poses)


def _streams_of(kind: SceneKind, seed: int) -> list[int]:
    return [seed, 0 if kind == "pile" else 1]


def label_points(trial: Trial, scene: PreparedScene, *, only_what_decides: bool = True) -> PointLabels:
    """Label all points of a scene.

    only_what_decides: of a trial that can tell blocked grasps beforehand (LabelTrials), leave out those yaws that the
    label does not depend on. Others try all six yaws, though the last is the first one turned by 180 degrees.
    """
    rng, labels = deepcopy(scene.rng), PointLabels()
    for point, normal in zip(scene.points_m, scene.normals, strict=True):
        label_point(trial, point, normal, rng, labels, only_what_decides=only_what_decides)
    return labels


def draw_surface_points(
    world: PhysicsWorld, rng: np.random.Generator, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points [n, 3] and outward normals [n, 3] of what can be seen of the objects; none that faces down.

    n is `count`, or 0 when nothing of the objects faces upwards inside the cube.
    """
    meshes = world.placed_meshes()
    seen = [visible_surface(meshes, SURFACE_CAMERA, pose) for pose in ring_of_views(SURFACE_VIEW_COUNT)]
    points = np.concatenate([points for points, _ in seen])
    normals = np.concatenate([normals for _, normals in seen])
    inside = np.all((points >= 0.0) & (points <= WORKSPACE_SIZE_M), axis=1)
    usable = np.flatnonzero(inside & (normals[:, 2] > LEAST_NORMAL_Z))
    chosen = rng.choice(usable, size=count) if len(usable) else usable
    return points[chosen], normals[chosen]


def label_point(
    trial: Trial,
    point_m: NDArray[np.float64],
    normal: NDArray[np.float64],
    rng: np.random.Generator,
    labels: PointLabels,
    *,
    only_what_decides: bool = True,
) -> None:
    """Try six yaws at a surface point and append the label: the middle of the widest run of successes, or a failure."""
    depth_m = rng.uniform(-DEPTH_MARGIN, 1.0 + DEPTH_MARGIN) * FINGER_DEPTH_M
    centre = point_m + depth_m * normal
    frame = _frame_along(-normal)
    turned = frame * Rotation.from_rotvec(np.linspace(0.0, np.pi, YAW_COUNT)[:, None] * [0.0, 0.0, 1.0])
    grasps = RigidTransform.from_components(np.tile(centre, (YAW_COUNT, 1)), turned)
    if isinstance(trial, LabelTrials) and only_what_decides:
        outcomes = _outcomes_that_decide(trial, grasps)
    else:
        outcomes = [trial(grasps[yaw]) for yaw in range(YAW_COUNT)]
    index = middle_of_widest_run([outcome is not None and outcome.success for outcome in outcomes])
    chosen = None if index is None else outcomes[index]
    labels.centres_m.append(centre)
    labels.rotations_xyzw.append(turned[index or 0].as_quat())
    labels.widths_m.append(chosen.width_m if chosen is not None else 0.0)
    labels.successes.append(index is not None)
    labels.trials.extend(outcomes)


def _outcomes_that_decide(trials: LabelTrials, grasps: RigidTransform) -> list[TrialOutcome | None]:
    """The outcomes of six yaws (a stack of grasps); None for those that the label does not depend on.

    The last yaw turns the first by 180 degrees: the same grasp of a symmetric hand.
    """
    blocked = TrialOutcome(TrialEnd.APPROACH_BLOCKED)
    outcomes: list[TrialOutcome | None] = [blocked if met else None for met in trials.are_blocked(grasps[:-1])]
    while (yaw := next_yaw(tuple(None if end is None else end.success for end in outcomes))) is not None:
        outcomes[yaw] = trials.try_unblocked(grasps[yaw])
    return [*outcomes, outcomes[0]]


def occupied(world: PhysicsWorld, points_m: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which points [n, 3] lie inside any object: each is asked alone, since their union is no closed surface."""
    inside = np.zeros(len(points_m), dtype=bool)
    for body_id, simulated in world.objects.items():
        lower, upper = simulated.model.mesh.bounds
        pose = world.pose(body_id)
        centre = pose.apply(simulated.scale * (lower + upper) / 2.0)
        radius_m = simulated.scale * np.linalg.norm(upper - lower) / 2.0
        # Nearly all points lie outside its bounding sphere: they are not even turned into its frame.
        near = np.flatnonzero(np.all(np.abs(points_m - centre.astype(np.float32)) <= np.float32(radius_m), axis=1))
        local = (points_m[near] - pose.translation) @ pose.rotation.as_matrix() / simulated.scale
        inside[near[simulated.model.contains(local)]] = True
    return inside


def _frame_along(z: NDArray[np.float64]) -> Rotation:
    """A rotation whose z axis is this unit vector."""
    x = np.array([1.0, 0.0, 0.0])
    if abs(z @ x) > 0.99:
        x = np.array([0.0, 1.0, 0.0])
    y = np.cross(z, x)
    y /= np.linalg.norm(y)
    return Rotation.from_matrix(np.column_stack([np.cross(y, z), y, z]))
