"""The simulated depth camera: where it stands, and the depth image of meshes at their poses on a table. No physics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.camera import PinholeCamera
from giga_sim.cell import Box
from giga_sim.surface_mesh import SurfaceMesh

NEAR_M = 0.1
FAR_M = 2.0
CAMERA = PinholeCamera(width=640, height=480, fx=540.0, fy=540.0, cx=320.0, cy=240.0)
SIDE_VIEW_TARGET_M = (0.15, 0.15, 0.10)
SIDE_VIEW_DISTANCE_M = 0.6
SIDE_VIEW_THETA_RAD = float(np.pi / 3.0)
SIDE_VIEW_PHI_RAD = float(-np.pi / 2.0)


@dataclass(frozen=True, eq=False)
class PlacedMesh:
    """A mesh at a pose; `scale` multiplies the mesh's own coordinates."""

    mesh: SurfaceMesh
    T_workspace_mesh: RigidTransform
    scale: float = 1.0


def look_at(
    target_m: Sequence[float] | NDArray[np.float64], distance_m: float, theta_rad: float, phi_rad: float
) -> RigidTransform:
    """T_camera_workspace of a camera that looks at a target from spherical coordinates around it, upright.

    theta is the angle from the vertical, phi the azimuth about z. Optical frame: z forward, x right, y down.
    """
    target = np.asarray(target_m, dtype=np.float64)
    outward = np.array([np.sin(theta_rad) * np.cos(phi_rad), np.sin(theta_rad) * np.sin(phi_rad), np.cos(theta_rad)])
    # Both written out, and not as cross products, so that they hold for a camera straight above, too.
    right = np.array([-np.sin(phi_rad), np.cos(phi_rad), 0.0])
    down = np.array([np.cos(theta_rad) * np.cos(phi_rad), np.cos(theta_rad) * np.sin(phi_rad), -np.sin(theta_rad)])
    rotation = Rotation.from_matrix(np.stack([right, down, -outward]))
    return RigidTransform.from_components(-rotation.apply(target + distance_m * outward), rotation)


def side_view() -> RigidTransform:
    """T_camera_workspace of the fixed side view of the benchmark."""
    return look_at(SIDE_VIEW_TARGET_M, SIDE_VIEW_DISTANCE_M, SIDE_VIEW_THETA_RAD, SIDE_VIEW_PHI_RAD)


@lru_cache(maxsize=4)
def _pixel_rays(camera: PinholeCamera) -> NDArray[np.float32]:
    """Directions [H, W, 3] in the optical frame, of length 1 along z: a hit's parameter is its depth."""
    columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    rays = np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones_like(rows)], axis=-1)
    rays = rays.astype(np.float32)
    rays.setflags(write=False)
    return rays


def _table_depth(camera: PinholeCamera, T_camera_workspace: RigidTransform, table: Box) -> NDArray[np.float32]:
    """Depth [H, W] of the table's upper face; inf beside it. The sides of the table top are left out."""
    T_workspace_camera = T_camera_workspace.inv()
    origin = T_workspace_camera.translation
    directions = _pixel_rays(camera) @ T_workspace_camera.rotation.as_matrix().T.astype(np.float32)
    top = float(table.centre_m[2] + table.size_m[2] / 2.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = (top - origin[2]) / directions[..., 2]
        offset = origin[:2] + depth[..., None] * directions[..., :2] - table.centre_m[:2]
        on_table = (depth > 0.0) & np.all(np.abs(offset) <= table.size_m[:2] / 2.0, axis=-1)
    return np.where(on_table, depth, np.inf).astype(np.float32)


@lru_cache(maxsize=4)
def _cached_table_depth(camera: PinholeCamera, pose: bytes, table: tuple[float, ...]) -> NDArray[np.float32]:
    depth = _table_depth(
        camera,
        RigidTransform.from_matrix(np.frombuffer(pose).reshape(4, 4)),
        Box(np.array(table[:3]), np.array(table[3:])),
    )
    depth.setflags(write=False)
    return depth


def _image_window(placed: PlacedMesh, camera: PinholeCamera, T_camera_mesh: RigidTransform) -> tuple[slice, slice]:
    """Rows and columns that the mesh's bounding box can fall on; the whole image when it reaches behind the lens."""
    corners = T_camera_mesh.apply(placed.mesh.corners_m * placed.scale)
    if corners[:, 2].max() <= 0.0:
        return slice(0, 0), slice(0, 0)
    if corners[:, 2].min() <= 1e-3:
        return slice(0, camera.height), slice(0, camera.width)
    columns = camera.fx * corners[:, 0] / corners[:, 2] + camera.cx
    rows = camera.fy * corners[:, 1] / corners[:, 2] + camera.cy
    return (
        slice(max(0, int(rows.min())), min(camera.height, max(0, int(rows.max()) + 2))),
        slice(max(0, int(columns.min())), min(camera.width, max(0, int(columns.max()) + 2))),
    )


def cast_pixels(
    placed_meshes: Sequence[PlacedMesh], camera: PinholeCamera, T_camera_workspace: RigidTransform
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Depth [H, W] of the nearest mesh at each pixel (inf = none) and its outward normal in `workspace` [H, W, 3]."""
    depth = np.full((camera.height, camera.width), np.inf, dtype=np.float32)
    normals = np.zeros((camera.height, camera.width, 3), dtype=np.float32)
    rays = _pixel_rays(camera)
    for placed in placed_meshes:
        T_camera_mesh = T_camera_workspace * placed.T_workspace_mesh
        rows, columns = _image_window(placed, camera, T_camera_mesh)
        window = rays[rows, columns]
        if window.size == 0:
            continue
        # In the mesh's own coordinates (before scaling) a ray keeps its parameter, so t stays the depth in metres.
        T_mesh_camera = T_camera_mesh.inv()
        to_mesh = (T_mesh_camera.rotation.as_matrix() / placed.scale).astype(np.float32)
        local = np.empty((window.shape[0] * window.shape[1], 6), dtype=np.float32)
        local[:, :3] = T_mesh_camera.translation / placed.scale
        local[:, 3:] = window.reshape(-1, 3) @ to_mesh.T
        hit, normal = placed.mesh.cast(local)
        hit = hit.reshape(window.shape[:2])
        nearer = hit < depth[rows, columns]
        depth[rows, columns][nearer] = hit[nearer]
        to_workspace = placed.T_workspace_mesh.rotation.as_matrix().astype(np.float32)
        normals[rows, columns][nearer] = normal.reshape(window.shape)[nearer] @ to_workspace.T
    return depth, normals


def render_depth(
    placed_meshes: Sequence[PlacedMesh],
    camera: PinholeCamera,
    T_camera_workspace: RigidTransform,
    *,
    table: Box | None,
    near_m: float = NEAR_M,
    far_m: float = FAR_M,
) -> NDArray[np.float32]:
    """Depth image float32 [H, W]: metres along the optical axis, 0 where nothing lies between near and far.

    `table`: drawn as its upper face only; None = no table.
    """
    depth, _ = cast_pixels(placed_meshes, camera, T_camera_workspace)
    if table is not None:
        pose = np.ascontiguousarray(T_camera_workspace.as_matrix(), dtype=np.float64).tobytes()
        depth = np.minimum(depth, _cached_table_depth(camera, pose, (*table.centre_m.tolist(), *table.size_m.tolist())))
    return np.where((depth >= near_m) & (depth < far_m), depth, np.float32(0.0))


def visible_surface(
    placed_meshes: Sequence[PlacedMesh], camera: PinholeCamera, T_camera_workspace: RigidTransform
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points [n, 3] and outward unit normals [n, 3], in `workspace`, of the meshes as one view sees them (no table)."""
    depth, normals = cast_pixels(placed_meshes, camera, T_camera_workspace)
    seen = np.isfinite(depth)
    T_workspace_camera = T_camera_workspace.inv()
    rays = _pixel_rays(camera)[seen].astype(np.float64)
    points = T_workspace_camera.apply(rays * depth[seen][:, None])
    outward = normals[seen].astype(np.float64)
    # A face seen from its back (an open or badly wound mesh) still has its outside towards the camera.
    towards_camera = -T_workspace_camera.rotation.apply(rays)
    flip = np.sign(np.einsum("ij,ij->i", outward, towards_camera))
    outward *= np.where(flip == 0.0, 1.0, flip)[:, None]
    return points, outward / np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-12)
