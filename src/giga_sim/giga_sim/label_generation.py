"""One labelled scene: objects on a table, what the camera sees, which grasps hold, where matter is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.dataset import LabelledScene, occupancy_points_m
from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M
from giga_sim.grasp_trial import TrialOutcome
from giga_sim.gripper_hand import GripperHand
from giga_sim.label_trials import LabelTrials
from giga_sim.object_sets import ObjectSet, Split
from giga_sim.physics_world import DEFAULT_TABLE, PhysicsWorld
from giga_sim.scenes import SceneKind, draw_object_count, make_scene
from giga_sim.side_view_camera import CAMERA, look_at, render_depth, side_view, visible_surface

FINGER_DEPTH_M = 0.05
DEPTH_MARGIN = 0.1
YAW_COUNT = 6
LEAST_NORMAL_Z = -0.1
# The surface that points are drawn from is what this many views around the workspace see, as if fused.
SURFACE_VIEW_COUNT = 6
SURFACE_VIEW_THETA_RAD = np.pi / 6.0
SURFACE_VIEW_DISTANCE_M = 0.6

Trial = Callable[[RigidTransform], TrialOutcome]


@dataclass(frozen=True)
class GenerationSettings:
    """What is drawn for each scene."""

    points_per_scene: int = 48


@dataclass
class PointLabels:
    """Labels gathered point by point."""

    centres_m: list[NDArray[np.float64]] = field(default_factory=list)
    rotations_xyzw: list[NDArray[np.float64]] = field(default_factory=list)
    widths_m: list[float] = field(default_factory=list)
    successes: list[bool] = field(default_factory=list)


def generate_scene(
    world: PhysicsWorld, kind: SceneKind, objects: ObjectSet, split: Split, seed: int, settings: GenerationSettings
) -> LabelledScene | None:
    """Make the scene of a seed and label it; None when nothing stayed on the table.

    `objects` must hold objects of that split only. The same arguments give the same scene.
    """
    rng = np.random.default_rng([seed, 0 if kind == "pile" else 1])
    world.reset()
    world.add_table()
    make_scene(world, kind, objects, draw_object_count(rng), rng)
    if not world.objects:
        return None
    depth_m = render_depth(world.placed_meshes(), CAMERA, side_view(), table=DEFAULT_TABLE)
    occupancy = occupied(world, occupancy_points_m())
    names = tuple(simulated.model.name for simulated in world.objects.values())
    points, normals = draw_surface_points(world, rng, settings.points_per_scene)
    if not len(points):
        return None
    trial = LabelTrials(world, GripperHand(world))
    labels = PointLabels()
    for point, normal in zip(points, normals, strict=True):
        label_point(trial, point, normal, rng, labels)
    return LabelledScene(
        seed=seed,
        scene=kind,
        object_names=names,
        depth_m=depth_m,
        camera=CAMERA,
        T_camera_workspace=side_view(),
        centres_m=np.asarray(labels.centres_m, dtype=np.float32),
        rotations_xyzw=np.asarray(labels.rotations_xyzw, dtype=np.float32),
        widths_m=np.asarray(labels.widths_m, dtype=np.float32),
        successes=np.asarray(labels.successes, dtype=bool),
        occupancy=occupancy,
        split="train" if split == "train" else "val",
    )


def draw_surface_points(
    world: PhysicsWorld, rng: np.random.Generator, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points [n, 3] and outward normals [n, 3] of what can be seen of the objects; none that faces down.

    n is `count`, or 0 when nothing of the objects faces upwards inside the cube.
    """
    centre = (WORKSPACE_SIZE_M / 2.0, WORKSPACE_SIZE_M / 2.0, TABLE_HEIGHT_M)
    meshes = world.placed_meshes()
    seen = [
        visible_surface(meshes, CAMERA, look_at(centre, SURFACE_VIEW_DISTANCE_M, SURFACE_VIEW_THETA_RAD, phi))
        for phi in np.arange(SURFACE_VIEW_COUNT) * 2.0 * np.pi / SURFACE_VIEW_COUNT
    ]
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
) -> None:
    """Try six yaws at a surface point and append the label: the middle of the widest run of successes, or a failure."""
    depth_m = rng.uniform(-DEPTH_MARGIN, 1.0 + DEPTH_MARGIN) * FINGER_DEPTH_M
    centre = point_m + depth_m * normal
    frame = _frame_along(-normal)
    # The last yaw turns the first by 180 degrees: the same grasp of a symmetric hand, so it is not tried again.
    turned = [frame * Rotation.from_euler("z", yaw) for yaw in np.linspace(0.0, np.pi, YAW_COUNT)]
    outcomes = [trial(RigidTransform.from_components(centre, rotation)) for rotation in turned[:-1]]
    outcomes.append(outcomes[0])
    index = middle_of_widest_run([outcome.success for outcome in outcomes])
    labels.centres_m.append(centre)
    labels.rotations_xyzw.append(turned[index or 0].as_quat())
    labels.widths_m.append(outcomes[index].width_m if index is not None else 0.0)
    labels.successes.append(index is not None)


def middle_of_widest_run(successes: list[bool]) -> int | None:
    """The index in the middle of the longest run of successes (the first of equals); None without any."""
    best: range | None = None
    start = 0
    for index, success in enumerate([*successes, False]):
        if not success:
            if index > start and (best is None or index - start > len(best)):
                best = range(start, index)
            start = index + 1
    return best[len(best) // 2] if best is not None else None


def occupied(world: PhysicsWorld, points_m: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which points [n, 3] lie inside any object: each is asked alone, since their union is no closed surface."""
    inside = np.zeros(len(points_m), dtype=bool)
    for body_id, simulated in world.objects.items():
        pose = world.pose(body_id)
        local = (points_m - pose.translation) @ pose.rotation.as_matrix() / simulated.scale
        inside |= simulated.model.contains(local)
    return inside


def _frame_along(z: NDArray[np.float64]) -> Rotation:
    """A rotation whose z axis is this unit vector."""
    x = np.array([1.0, 0.0, 0.0])
    if abs(z @ x) > 0.99:
        x = np.array([0.0, 1.0, 0.0])
    y = np.cross(z, x)
    y /= np.linalg.norm(y)
    return Rotation.from_matrix(np.column_stack([np.cross(y, z), y, z]))
