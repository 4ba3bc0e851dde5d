"""Labelled scenes of boxes on a table, made without physics: for tests of everything between a data set and a model."""

from __future__ import annotations

import functools

import numpy as np
import open3d as o3d
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.camera import DepthView, PinholeCamera
from giga_perception.dataset import LabelledScene, occupancy_points_m

CAMERA = PinholeCamera(width=160, height=120, fx=135.0, fy=135.0, cx=80.0, cy=60.0)


def side_view(phi_rad: float = -np.pi / 2.0) -> RigidTransform:
    """T_camera_workspace of a camera 0.6 m from the cube, 60 degrees from the vertical, on its -y side or elsewhere."""
    target = np.array([0.15, 0.15, 0.10])
    level = np.array([np.cos(phi_rad), np.sin(phi_rad), 0.0])
    eye = target + 0.6 * (np.sin(np.pi / 3) * level + np.array([0.0, 0.0, np.cos(np.pi / 3)]))
    forward = (target - eye) / 0.6
    right = np.array([-level[1], level[0], 0.0])
    axes = np.stack([right, np.cross(forward, right), forward], axis=1)
    return RigidTransform.from_components(eye, Rotation.from_matrix(axes)).inv()


@functools.lru_cache(maxsize=64)
def box_scene(
    seed: int, *, split: str = "train", camera: PinholeCamera = CAMERA, labels: int = 30, other_views: int = 0
) -> LabelledScene:
    """A table with three boxes. A point is a "success" above a box, so that there is something to learn.

    other_views: so many more images, from around the cube.
    """
    rng = np.random.default_rng(seed)
    everything, objects = o3d.t.geometry.RaycastingScene(), o3d.t.geometry.RaycastingScene()
    table = o3d.t.geometry.TriangleMesh.create_box(1.2, 1.2, 0.05).translate([-0.45, -0.45, 0.0])
    everything.add_triangles(table)
    centres = []
    for _ in range(3):
        size = rng.uniform(0.03, 0.07, 3)
        box = o3d.t.geometry.TriangleMesh.create_box(*size).translate(-size / 2)
        box.rotate(Rotation.from_euler("z", rng.uniform(0, np.pi)).as_matrix(), np.zeros(3))
        centres.append([*rng.uniform(0.07, 0.23, 2), 0.05 + size[2] / 2])
        box.translate(centres[-1])
        everything.add_triangles(box)
        objects.add_triangles(box)
    intrinsic = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])
    views = []
    for turn in range(1 + other_views):
        pose = side_view(-np.pi / 2.0 + 2.0 * np.pi * turn / (1 + other_views))
        rays = everything.create_rays_pinhole(intrinsic, pose.as_matrix(), camera.width, camera.height)
        # These rays have length one along the optical axis, so the hit distance is the depth.
        depth_m = everything.cast_rays(rays)["t_hit"].numpy()
        depth_m = np.where(np.isfinite(depth_m) & (depth_m < 2.0), depth_m, 0.0).astype(np.float32)
        views.append(DepthView(depth_m, camera, pose))
    occupancy = objects.compute_occupancy(occupancy_points_m()).numpy() > 0.5

    near = np.array(centres)[rng.integers(3, size=labels // 2)] + rng.normal(0, 0.01, (labels // 2, 3))
    points = np.concatenate([near, rng.uniform(0.05, 0.25, (labels - labels // 2, 3))]).astype(np.float32)
    successes = objects.compute_occupancy(points).numpy() > 0.5
    return LabelledScene(
        seed=seed,
        scene="pile",
        object_names=("box",) * 3 if split == "train" else ("held_out_box",) * 3,
        depth_m=views[0].depth_m,
        camera=camera,
        T_camera_workspace=views[0].T_camera_workspace,
        centres_m=points,
        rotations_xyzw=np.tile(np.array([1, 0, 0, 0], dtype=np.float32), (labels, 1)),
        widths_m=np.full(labels, 0.05, dtype=np.float32),
        successes=successes,
        occupancy=occupancy,
        split=split,
        other_views=tuple(views[1:]),
    )
