"""Triangle meshes ray cast to a shaded picture: soft shadows, ambient occlusion, no display and no GPU needed.

Open3D's `RaycastingScene` (Embree) finds what each pixel sees; the shading is a few lines of NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import open3d as o3d
from numpy.typing import NDArray

_SUPERSAMPLING = 2
_OCCLUSION_RAYS = 3
"""A sample; with the supersampling, a pixel gathers four times as many."""
_OCCLUSION_REACH_M = 0.05
_LIGHT_RADIUS = 0.14
"""Of the key light, as a fraction of its distance: how soft shadows are."""
_RAY_OFFSET_M = 2e-4
_SMOOTHING_SAMPLES = 3.0
"""Standard deviation, in samples, of the smoothing that takes the grain from shadows."""


@dataclass(frozen=True, eq=False)
class ColouredMesh:
    """A mesh to draw: vertices [V, 3] in metres, triangles [T, 3], red, green, blue [V, 3] from 0 to 1.

    ``smooth`` interpolates vertex normals over the triangles; without it edges stay crisp. What ``glows`` is drawn in
    its own colour with little shading: for small things that must keep their colour.
    """

    vertices_m: NDArray[np.floating]
    triangles: NDArray[np.integer]
    colours: NDArray[np.floating]
    smooth: bool = True
    glows: bool = False


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """A perspective camera: where it stands and looks (metres), its vertical opening angle, the picture's pixels."""

    eye_m: NDArray[np.floating]
    target_m: NDArray[np.floating]
    opening_deg: float
    width: int
    height: int

    def project(self, points_m: NDArray[np.floating]) -> NDArray[np.float64]:
        """Pixels (column, row) [N, 2] of points [N, 3]; z is up in the picture."""
        right, down, forward = self._axes()
        offset = np.asarray(points_m, dtype=np.float64) - self.eye_m
        depth = offset @ forward
        focal = 0.5 * self.height / np.tan(np.radians(self.opening_deg) / 2.0)
        return np.column_stack(
            [
                focal * (offset @ right) / depth + 0.5 * self.width,
                focal * (offset @ down) / depth + 0.5 * self.height,
            ]
        )

    def rays(self, supersampling: int) -> NDArray[np.float32]:
        """Origins and directions [H, W, 6] of the rays through a grid finer by ``supersampling``; unit directions."""
        right, down, forward = self._axes()
        focal = 0.5 * self.height / np.tan(np.radians(self.opening_deg) / 2.0)
        columns = (np.arange(self.width * supersampling) + 0.5) / supersampling - 0.5 * self.width
        rows = (np.arange(self.height * supersampling) + 0.5) / supersampling - 0.5 * self.height
        direction = columns[None, :, None] / focal * right + rows[:, None, None] / focal * down + forward[None, None, :]
        direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
        return np.concatenate([np.broadcast_to(self.eye_m, direction.shape), direction], axis=-1).astype(np.float32)

    def key_light(self) -> NDArray[np.float64]:
        """Direction [3] towards the main light: high, over the viewer's left shoulder."""
        right, _, forward = self._axes()
        direction = -0.55 * forward - 0.6 * right + np.array([0.0, 0.0, 1.1])
        return np.asarray(direction / np.linalg.norm(direction))

    def _axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        forward = np.asarray(self.target_m, dtype=np.float64) - self.eye_m
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        return right, np.cross(forward, right), forward


def render(meshes: Sequence[ColouredMesh], viewpoint: Viewpoint) -> NDArray[np.uint8]:
    """The picture as red, green, blue, alpha [H, W, 4]; alpha is 0 where nothing is hit. Same input, same picture."""
    meshes = [mesh for mesh in meshes if len(mesh.triangles)]
    size = (viewpoint.height * _SUPERSAMPLING, viewpoint.width * _SUPERSAMPLING)
    colour = np.zeros((size[0] * size[1], 3), dtype=np.float32)
    alpha = np.zeros(size[0] * size[1], dtype=np.float32)
    if meshes:
        scene, normals, colours, glows = _scene(meshes)
        rays = viewpoint.rays(_SUPERSAMPLING).reshape(-1, 6)
        hit = scene.cast_rays(o3d.core.Tensor(rays))
        distance_m = hit["t_hit"].numpy()
        seen = np.flatnonzero(np.isfinite(distance_m))
        geometry = hit["geometry_ids"].numpy()[seen].astype(np.int64)
        triangle = hit["primitive_ids"].numpy()[seen].astype(np.int64)
        uv = hit["primitive_uvs"].numpy()[seen]
        direction = rays[seen, 3:]
        point = rays[seen, :3] + distance_m[seen, None] * direction
        normal = _interpolate(normals, geometry, triangle, uv)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        normal *= -np.sign(np.sum(normal * direction, axis=1, keepdims=True) + 1e-9)
        base = _interpolate(colours, geometry, triangle, uv)
        lit, open_sky = _visibility(scene, point, normal, viewpoint)
        lit, open_sky = (_smoothed(values, geometry, seen, size) for values in (lit, open_sky))
        key = np.clip(normal @ viewpoint.key_light().astype(np.float32), 0.0, 1.0) * lit
        head = np.clip(-np.sum(normal * direction, axis=1), 0.0, 1.0)
        light = 0.18 + 0.36 * open_sky + 0.42 * key + 0.16 * head * (0.4 + 0.6 * open_sky)
        glow = np.asarray(glows, dtype=np.float32)[geometry]
        light = light * (1.0 - 0.72 * glow) + 0.74 * glow
        colour[seen] = np.clip(base * light[:, None], 0.0, 1.0)
        alpha[seen] = 1.0
    return _downsample(colour, alpha, size)


def _scene(
    meshes: Sequence[ColouredMesh],
) -> tuple[o3d.t.geometry.RaycastingScene, list[NDArray[np.float32]], list[NDArray[np.float32]], list[bool]]:
    """The ray caster, and for each mesh the normals and colours at its triangles' corners [T, 3, 3]."""
    scene = o3d.t.geometry.RaycastingScene()
    normals, colours = [], []
    for mesh in meshes:
        vertices = np.ascontiguousarray(mesh.vertices_m, dtype=np.float32)
        triangles = np.ascontiguousarray(mesh.triangles, dtype=np.uint32)
        scene.add_triangles(o3d.core.Tensor(vertices), o3d.core.Tensor(triangles))
        corners = vertices[triangles]
        face_normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        if mesh.smooth:
            vertex_normal = np.zeros_like(vertices)
            for corner in range(3):
                np.add.at(vertex_normal, triangles[:, corner], face_normal)
            vertex_normal /= np.maximum(np.linalg.norm(vertex_normal, axis=1, keepdims=True), 1e-12)
            normals.append(vertex_normal[triangles])
        else:
            normals.append(np.repeat(face_normal[:, None, :], 3, axis=1))
        colours.append(np.asarray(mesh.colours, dtype=np.float32)[triangles])
    return scene, normals, colours, [mesh.glows for mesh in meshes]


def _interpolate(
    corners: Sequence[NDArray[np.float32]],
    geometry: NDArray[np.int64],
    triangle: NDArray[np.int64],
    uv: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Barycentric mean [N, 3] of what the hit triangles hold at their corners."""
    result = np.zeros((len(geometry), 3), dtype=np.float32)
    weights = np.column_stack([1.0 - uv.sum(axis=1), uv])
    for index, values in enumerate(corners):
        mine = geometry == index
        result[mine] = np.einsum("nc,ncd->nd", weights[mine], values[triangle[mine]])
    return result


def _visibility(
    scene: o3d.t.geometry.RaycastingScene,
    point: NDArray[np.float32],
    normal: NDArray[np.float32],
    viewpoint: Viewpoint,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Whether the key light reaches each point [N], and how much of the sky does [N]; noisy, by few random rays."""
    rng = np.random.default_rng(0)
    start = point + normal * _RAY_OFFSET_M
    to_key = viewpoint.key_light().astype(np.float32) + np.float32(_LIGHT_RADIUS) * _unit_vectors(rng, len(point))
    lit = (~_blocked(scene, start, to_key, np.inf)).astype(np.float32)
    open_sky = np.zeros(len(point), dtype=np.float32)
    for _ in range(_OCCLUSION_RAYS):
        aim = normal + np.float32(0.98) * _unit_vectors(rng, len(point))
        open_sky += ~_blocked(scene, start, aim, _OCCLUSION_REACH_M)
    return lit, open_sky / np.float32(_OCCLUSION_RAYS)


def _smoothed(
    values: NDArray[np.float32], geometry: NDArray[np.int64], seen: NDArray[np.intp], size: tuple[int, int]
) -> NDArray[np.float32]:
    """The values [N] of the seen samples, averaged over neighbours in the picture that show the same mesh."""
    result = np.empty_like(values)
    rows, columns = np.divmod(seen, size[1])
    for index in np.unique(geometry):
        mine = np.flatnonzero(geometry == index)
        row, column = rows[mine] - rows[mine].min(), columns[mine] - columns[mine].min()
        total = np.zeros((int(row.max()) + 1, int(column.max()) + 1), dtype=np.float32)
        weight = np.zeros_like(total)
        total[row, column] = values[mine]
        weight[row, column] = 1.0
        blurred, share = (
            np.asarray(cv2.GaussianBlur(image, (0, 0), _SMOOTHING_SAMPLES, borderType=cv2.BORDER_CONSTANT))
            for image in (total, weight)
        )
        result[mine] = blurred[row, column] / share[row, column]
    return result


def _unit_vectors(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    vectors = rng.standard_normal((count, 3), dtype=np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-9))


def _blocked(
    scene: o3d.t.geometry.RaycastingScene, start: NDArray[np.float32], aim: NDArray[np.floating], reach_m: float
) -> NDArray[np.bool_]:
    unit = aim / np.maximum(np.linalg.norm(aim, axis=1, keepdims=True), 1e-9)
    rays = np.concatenate([start, unit], axis=1).astype(np.float32)
    return np.asarray(scene.test_occlusions(o3d.core.Tensor(rays), tfar=float(reach_m)).numpy())


def _downsample(colour: NDArray[np.float32], alpha: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Average blocks of samples; colour is weighed by alpha, so that outlines do not darken."""
    blocks = (size[0] // _SUPERSAMPLING, _SUPERSAMPLING, size[1] // _SUPERSAMPLING, _SUPERSAMPLING)
    coverage = alpha.reshape(blocks).mean(axis=(1, 3))
    total = (colour * alpha[:, None]).reshape(*blocks, 3).mean(axis=(1, 3))
    mean = total / np.maximum(coverage, 1e-6)[..., None]
    picture = np.concatenate([mean, coverage[..., None]], axis=-1)
    return np.asarray(np.round(255.0 * np.clip(picture, 0.0, 1.0)), dtype=np.uint8)
