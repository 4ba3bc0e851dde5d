"""A picture of labelled scenes, for a person: what the camera sees, which grasps held, where matter is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.detection_meshes import floor_mesh, picked_meshes, surface_mesh
from giga_perception.grasp import Grasp, T_workspace_tcp_from_grasp_origin
from giga_perception.labelled_scene import LabelledScene
from giga_perception.occupancy_points import occupancy_points_m
from giga_perception.projective_tsdf import workspace_window
from giga_perception.surface_render import Viewpoint, render
from giga_perception.workspace import WORKSPACE_SIZE_M

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_GRASPS_DRAWN = 6
OCCUPANCY_CELLS = 40
FINGER_LENGTH_M = 0.05
# No share of one, two or three points is this, so that no corner of the grid lies on the surface itself.
_OCCUPIED_SHARE = 0.45
SUCCESS_COLOUR = "#1b9e4b"
FAILURE_COLOUR = "#d1495b"
_DPI = 100
_CELL_IN = (4.4, 3.3)
_EYE_M = np.array([0.42, -0.45, 0.55])
_TARGET_M = np.array([0.15, 0.15, 0.09])


def draw_scenes(scenes: Sequence[LabelledScene], path: Path, title: str = "") -> None:
    """Write a PNG with a row for each scene: depth image, labels on it, occupancy with some grasps that held.

    Raises ValueError without a scene, OSError when the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not scenes:
        raise ValueError("a picture of scenes needs at least one")
    size = (3 * _CELL_IN[0], len(scenes) * _CELL_IN[1] + 0.5)
    figure = Figure(figsize=size, dpi=_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12, fontweight="bold")
    rows = figure.subplots(len(scenes), 3, squeeze=False)
    for scene, (depth, labels, matter) in zip(scenes, rows, strict=True):
        _draw_depth(depth, scene)
        _draw_labels(labels, scene)
        _draw_occupancy(matter, scene)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=_DPI, metadata={"Software": None})


def occupancy_surface(occupancy: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices [n, 3] in metres and triangles [m, 3] around the points that are occupied; empty where none is."""
    from skimage.measure import marching_cubes

    cell_m = WORKSPACE_SIZE_M / OCCUPANCY_CELLS
    cells = np.minimum((occupancy_points_m() / cell_m).astype(np.int64), OCCUPANCY_CELLS - 1)
    flat = np.ravel_multi_index(tuple(cells.T), (OCCUPANCY_CELLS,) * 3)
    points, inside = (np.bincount(flat, weights, OCCUPANCY_CELLS**3) for weights in (None, occupancy))
    share = np.divide(inside, points, out=np.zeros(len(points)), where=points > 0)
    # A free cell around all, so that the surface is closed.
    volume = np.pad(share.reshape((OCCUPANCY_CELLS,) * 3), 1)
    if volume.max() <= _OCCUPIED_SHARE:
        return np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    vertices, triangles, _, _ = marching_cubes(volume, _OCCUPIED_SHARE, gradient_direction="ascent")
    return (vertices - 0.5) * cell_m, triangles.astype(np.int64)


def _draw_depth(axes: Axes, scene: LabelledScene) -> None:
    seen = scene.depth_m[scene.depth_m > 0.0]
    near, far = (float(seen.min()), float(np.quantile(seen, 0.9))) if len(seen) else (0.0, 1.0)
    axes.imshow(np.ma.masked_equal(scene.depth_m, 0.0), cmap="bone_r", vmin=near, vmax=far)
    _show_workspace(axes, scene)
    others = f", {len(scene.other_views)} other views" if scene.other_views else ""
    _finish(axes, f"{scene.scene} {scene.seed} ({scene.split}): {len(scene.object_names)} objects{others}")


def _draw_labels(axes: Axes, scene: LabelledScene) -> None:
    """The labelled points in the side view; a line from a success's origin to between the fingers' ends."""
    axes.imshow(np.ma.masked_equal(scene.depth_m, 0.0), cmap="Greys", alpha=0.45)
    for held, colour in ((False, FAILURE_COLOUR), (True, SUCCESS_COLOUR)):
        points = _pixels(scene, scene.centres_m[scene.successes == held])
        axes.scatter(points[:, 0], points[:, 1], s=14, color=colour, linewidths=0)
    if scene.successes.any():
        starts = scene.centres_m[scene.successes]
        approaches = Rotation.from_quat(scene.rotations_xyzw[scene.successes]).as_matrix()[:, :, 2]
        ends = np.stack([_pixels(scene, starts), _pixels(scene, starts + FINGER_LENGTH_M * approaches)], axis=1)
        for line in ends:
            axes.plot(line[:, 0], line[:, 1], color=SUCCESS_COLOUR, linewidth=1.0)
    _show_workspace(axes, scene)
    count = int(scene.successes.sum())
    _finish(axes, f"{count} points held (green), {len(scene.successes) - count} failed (red)")


def _show_workspace(axes: Axes, scene: LabelledScene) -> None:
    """Only the part of the image that the cube falls on."""
    rows, columns = workspace_window(scene.camera, scene.T_camera_workspace)
    axes.set_xlim(columns.start - 0.5, columns.stop - 0.5)
    axes.set_ylim(rows.stop - 0.5, rows.start - 0.5)


def _draw_occupancy(axes: Axes, scene: LabelledScene) -> None:
    vertices, triangles = occupancy_surface(scene.occupancy)
    meshes = [floor_mesh()]
    if len(triangles):
        meshes.append(surface_mesh(vertices, triangles))
    rows = np.flatnonzero(scene.successes)
    drawn = rows[:: max(1, -(-len(rows) // MOST_GRASPS_DRAWN))]
    grasps = [
        Grasp(
            T_workspace_tcp_from_grasp_origin(
                RigidTransform.from_components(scene.centres_m[row], Rotation.from_quat(scene.rotations_xyzw[row]))
            ),
            float(scene.widths_m[row]),
            1.0,
        )
        for row in drawn
    ]
    width, height = (round(side * _DPI) for side in _CELL_IN)
    axes.imshow(render([*meshes, *picked_meshes(grasps)], Viewpoint(_EYE_M, _TARGET_M, 30.0, width, height)))
    _finish(axes, f"occupancy: {100.0 * scene.occupancy.mean():.1f} % of the cube; {len(drawn)} grasps that held")


def _pixels(scene: LabelledScene, points_m: NDArray[np.floating]) -> NDArray[np.float64]:
    """Columns and rows [n, 2] of points [n, 3] in the side view."""
    if not len(points_m):
        return np.zeros((0, 2))
    in_camera = scene.T_camera_workspace.apply(np.asarray(points_m, dtype=np.float64))
    camera = scene.camera
    columns = camera.fx * in_camera[:, 0] / in_camera[:, 2] + camera.cx
    return np.column_stack([columns, camera.fy * in_camera[:, 1] / in_camera[:, 2] + camera.cy])


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_axis_off()
