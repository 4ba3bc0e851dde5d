"""One picture of one detection, for a person: depth image, fused surface, affordance, grasps, and what was picked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from giga_perception.affordance_landscape import REACH_M, seen_landscape
from giga_perception.camera import DepthView
from giga_perception.detection import Detection
from giga_perception.detection_meshes import (
    HEIGHT_COLOURS,
    HEIGHT_TOP_M,
    PICKED_COLOUR,
    floor_mesh,
    gripper_meshes,
    landscape_mesh,
    picked_meshes,
    surface_mesh,
)
from giga_perception.grasp import Grasp
from giga_perception.gripper_shape import WRIST_Z_M
from giga_perception.quality_colour import QUALITY_COLOURS
from giga_perception.surface_render import ColouredMesh, Viewpoint, render
from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

MOST_GRASPS_DRAWN = 20

_WIDTH_IN = 16.0
_HEIGHT_IN = 9.6
_DPI = 110
PANELS = {
    "depth": (0.030, 0.599, 0.225, 0.281),
    "surface": (0.302, 0.525, 0.205, 0.355),
    "above": (0.030, 0.105, 0.225, 0.350),
    "landscape": (0.302, 0.105, 0.205, 0.350),
    "grasps": (0.560, 0.105, 0.395, 0.775),
}
"""Left, bottom, width and height of each panel, in fractions of the figure."""
_NEAR_M = 0.82
_FAR_M = 0.95
_SAME_GRASP_M = 0.002
_DEPTH_COLOURS = np.array([[0.97, 0.98, 0.96], [0.66, 0.78, 0.80], [0.33, 0.47, 0.58], [0.16, 0.21, 0.32]])
_NO_READING = "#f6e4df"
_INK = "#22262b"
_FAINT = "#6b7280"
_TURN_DEG = 28.0
_ELEVATION_DEG = 38.0
_TARGET_M = np.array([0.15, 0.15, 0.07])


def draw_detection(
    detection: Detection, view: DepthView, path: Path, *, picked: Sequence[Grasp] = (), title: str = ""
) -> None:
    """Write a PNG of this detection in this view to ``path``.

    ``picked``: grasps that were carried out, highlighted. ``title``: first line of the picture. The same input gives
    the same picture. Raises OSError when the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = detection.grasps[:MOST_GRASPS_DRAWN]
    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    _write_heading(figure, detection, title, len(picked))
    quality_map = _colour_map("quality", QUALITY_COLOURS)
    height_map = _colour_map("height", HEIGHT_COLOURS)
    landscape = seen_landscape(detection)
    surface = (landscape.vertices_m, landscape.triangles)

    cell = _Cell(figure, *PANELS["depth"])
    depth_image = _draw_depth(cell, view)
    cell.colour_bar(depth_image, "m")

    cell = _Cell(figure, *PANELS["surface"])
    cell.heading("Fused surface", "zero crossing of the TSDF, coloured by height")
    _draw_render(cell, [floor_mesh(), surface_mesh(*surface)], _viewpoint(view, *cell.pixels, _NEAR_M))
    cell.colour_bar(_scale(height_map, 100.0 * HEIGHT_TOP_M), "cm above the table")

    cell = _Cell(figure, *PANELS["above"])
    _draw_affordance_from_above(cell, detection, quality_map)
    cell.colour_bar(_scale(quality_map, 1.0), "grasp quality")

    cell = _Cell(figure, *PANELS["landscape"])
    cell.heading("Affordance landscape", f"best quality within {100.0 * REACH_M:.0f} cm of the surface")
    _draw_render(cell, [floor_mesh(), landscape_mesh(landscape)], _viewpoint(view, *cell.pixels, _NEAR_M))
    cell.colour_bar(_scale(quality_map, 1.0), "grasp quality")

    cell = _Cell(figure, *PANELS["grasps"])
    cell.heading("Ranked grasps", _grasp_counts(detection, len(drawn)))
    viewpoint = _viewpoint(view, *cell.pixels, _FAR_M)
    tried = {_rank_of(grasp, drawn): grasp for grasp in picked}
    left_alone = [grasp for rank, grasp in enumerate(drawn, start=1) if rank not in tried]
    hands = [*gripper_meshes(left_alone), *picked_meshes(picked)]
    _draw_render(cell, [floor_mesh(), surface_mesh(*surface), *hands], viewpoint)
    _label_grasps(cell.axes, viewpoint, drawn, picked)
    cell.colour_bar(_scale(quality_map, 1.0), "grasp quality")
    _legend(cell.axes, bool(picked))

    figure.text(PANELS["above"][0], 0.022, _funnel(detection), color=_FAINT, fontsize=9.5, va="bottom", linespacing=1.6)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", dpi=_DPI, metadata={"Software": None})


class _Cell:
    """A rectangle of the figure: heading above, axes, a colour bar at the right; the same for every panel."""

    def __init__(self, figure: Figure, left: float, bottom: float, width: float, height: float) -> None:
        """Place the axes at this part of the figure, in fractions of it."""
        self._figure = figure
        self._box = (left, bottom, width, height)
        self.axes = figure.add_axes(self._box)
        self.pixels = (round(width * _WIDTH_IN * _DPI), round(height * _HEIGHT_IN * _DPI))

    def heading(self, title: str, subtitle: str) -> None:
        left, bottom, _, height = self._box
        self._figure.text(left, bottom + height + 0.030, title, fontsize=12.5, fontweight="bold", color=_INK)
        self._figure.text(left, bottom + height + 0.011, subtitle, fontsize=9, color=_FAINT)

    def colour_bar(self, scale: ScalarMappable, label: str) -> None:
        left, bottom, width, height = self._box
        axes = self._figure.add_axes((left + width + 0.006, bottom + 0.16 * height, 0.006, 0.68 * height))
        bar = self._figure.colorbar(scale, cax=axes)
        bar.outline.set_visible(False)
        axes.tick_params(labelsize=8, colors=_FAINT, length=2)
        bar.set_label(label, fontsize=8.5, color=_FAINT)


def _rank_of(grasp: Grasp, grasps: Sequence[Grasp]) -> int:
    """The place, from 1 on, of the grasp of about the same pose; 0 when there is none."""
    for rank, other in enumerate(grasps, start=1):
        if np.linalg.norm(grasp.T_workspace_tcp.translation - other.T_workspace_tcp.translation) < _SAME_GRASP_M:
            return rank
    return 0


def _write_heading(figure: Figure, detection: Detection, title: str, picked_count: int) -> None:
    figure.text(0.03, 0.968, title or "Grasp detection", color=_INK, fontsize=19, fontweight="bold", va="top")
    report = detection.report
    words = [f"model {report.model}"] if report.model else []
    if report.total_ms > 0.0:
        words.append(f"{report.total_ms:.0f} ms from depth to grasps")
    if picked_count:
        words.append(f"{picked_count} picked")
    figure.text(0.98, 0.962, "   ·   ".join(words), color=_FAINT, fontsize=11.5, va="top", ha="right")


def _grasp_counts(detection: Detection, drawn: int) -> str:
    count = len(detection.grasps)
    if count == 0:
        return "none"
    first = detection.grasps[0]
    shown = f", {drawn} drawn" if drawn < count else ""
    return f"{count} in all{shown}; the first: quality {first.quality:.2f}, {1000.0 * first.width_m:.0f} mm wide"


def _funnel(detection: Detection) -> str:
    report = detection.report
    stages = (
        (report.voxels_observed, "voxels observed"),
        (report.centres_near_surface, "near a surface"),
        (report.centres_in_bounds, "within bounds"),
        (report.centres_width_valid, "of a width the hand holds"),
        (report.above_threshold, f"of quality {report.quality_threshold:.2f} or more"),
        (report.after_nms, "local maxima"),
    )
    line = "  →  ".join(f"{count:,} {name}" for count, name in stages)
    times = f"fusion {report.integrate_ms:.0f} ms, network {report.network_ms:.0f} ms"
    second = f"{times}, selection {report.selection_ms:.0f} ms"
    return f"{line}\n{report.message[:1].upper()}{report.message[1:]}" if report.message else f"{line}\n{second}"


def _draw_depth(cell: _Cell, view: DepthView) -> ScalarMappable:
    """The image over the range of depths that the workspace spans, and the cube's outline."""
    axes = cell.axes
    corners = WORKSPACE_SIZE_M * np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
    corners_z = np.asarray(view.T_camera_workspace.apply(corners))[:, 2]
    near, far = max(0.0, float(corners_z.min()) - 0.05), float(corners_z.max()) + 0.10
    valid = view.depth_m > 0.0
    image = axes.imshow(
        np.ma.masked_where(~valid, view.depth_m),
        cmap=_colour_map("depth", _DEPTH_COLOURS),
        vmin=near,
        vmax=far,
        interpolation="antialiased",
    )
    axes.set_facecolor(_NO_READING)
    for first in range(8):
        for bit in (1, 2, 4):
            if first & bit:
                continue
            ends = np.asarray(view.T_camera_workspace.apply(corners[[first, first | bit]]))
            if (ends[:, 2] > 0.01).all():
                column = view.camera.fx * ends[:, 0] / ends[:, 2] + view.camera.cx
                row = view.camera.fy * ends[:, 1] / ends[:, 2] + view.camera.cy
                axes.plot(column, row, color="#e07a3f", linewidth=1.0, alpha=0.9)
    axes.set_anchor("N")
    axes.set_xlim(-0.5, view.camera.width - 0.5)
    axes.set_ylim(view.camera.height - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    share = 100.0 * float(valid.mean())
    size = f"{view.camera.width} × {view.camera.height}"
    cell.heading("Depth image", f"{size}, {share:.0f} % valid; orange: the workspace, 30 cm a side")
    _style(axes)
    return image


def _draw_affordance_from_above(cell: _Cell, detection: Detection, quality_map: Colormap) -> None:
    """The best quality along each vertical, over the heights of what was seen."""
    axes = cell.axes
    heights = _top_heights(detection)
    side_cm = 100.0 * WORKSPACE_SIZE_M
    extent = (0.0, side_cm, 0.0, side_cm)
    backdrop = np.full((*heights.shape, 3), 0.80)
    seen = np.isfinite(heights)
    shade = np.clip(1.0 - 0.30 * np.where(seen, heights, 0.0) / HEIGHT_TOP_M, 0.6, 1.0)
    backdrop[seen] = (np.array([0.97, 0.97, 0.96]) * shade[..., None])[seen]
    axes.imshow(backdrop.transpose(1, 0, 2), origin="lower", extent=extent, interpolation="nearest")
    best = detection.quality.max(axis=2)
    colours = quality_map(best.T)
    colours[..., 3] = np.clip(best.T / 0.5, 0.0, 1.0) ** 0.8
    axes.imshow(colours, origin="lower", extent=extent, interpolation="bilinear")
    for rank, grasp in enumerate(detection.grasps[:MOST_GRASPS_DRAWN]):
        half = 0.5 * grasp.width_m
        pads = np.asarray(grasp.T_workspace_tcp.apply([[0.0, -half, 0.0], [0.0, half, 0.0]])) * 100.0
        axes.plot(pads[:, 0], pads[:, 1], color="white", linewidth=2.6, solid_capstyle="round")
        axes.plot(pads[:, 0], pads[:, 1], color=_INK, linewidth=1.2, marker="o", markersize=2.6)
        if rank < 3:
            axes.annotate(
                str(rank + 1),
                pads.mean(axis=0)[:2],
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=8.5,
                color=_INK,
            )
    axes.set_xlim(0.0, side_cm)
    axes.set_ylim(0.0, side_cm)
    axes.set_aspect("equal")
    axes.set_xticks([0, 10, 20, 30])
    axes.set_yticks([0, 10, 20, 30])
    axes.set_xlabel("x [cm]", fontsize=9, color=_FAINT, labelpad=1)
    axes.set_ylabel("y [cm]", fontsize=9, color=_FAINT, labelpad=1)
    cell.heading("Affordance from above", "best quality along z; black lines: from pad to pad")
    _style(axes)


def _top_heights(detection: Detection) -> NDArray[np.float64]:
    """Height above the table [R, R] of the topmost surface voxel of each column; NaN where none was seen."""
    value = detection.tsdf.value
    resolution = detection.tsdf.resolution
    near = (value > 0.25) & (value < 0.75)
    top = resolution - 1 - np.argmax(near[:, :, ::-1], axis=2)
    heights = (top + 0.5) * detection.tsdf.voxel_m - TABLE_HEIGHT_M
    return np.where(near.any(axis=2), heights, np.nan)


def _viewpoint(view: DepthView, width: int, height: int, distance_m: float) -> Viewpoint:
    """From the camera's side of the workspace, turned a little, so that hidden sides show as hidden."""
    towards = view.T_camera_workspace.inv().translation - _TARGET_M
    azimuth = np.arctan2(towards[1], towards[0]) if np.hypot(towards[0], towards[1]) > 0.05 else -np.pi / 2.0
    azimuth += np.radians(_TURN_DEG)
    elevation = np.radians(_ELEVATION_DEG)
    direction = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    return Viewpoint(_TARGET_M + distance_m * direction, _TARGET_M, 30.0, width, height)


def _draw_render(cell: _Cell, meshes: Sequence[ColouredMesh], viewpoint: Viewpoint) -> None:
    axes = cell.axes
    axes.imshow(render(meshes, viewpoint), interpolation="antialiased", aspect="equal")
    side = WORKSPACE_SIZE_M
    square = np.array([[0, 0], [side, 0], [side, side], [0, side], [0, 0]])
    floor = viewpoint.project(np.column_stack([square, np.full(5, TABLE_HEIGHT_M)]))
    axes.plot(floor[:, 0], floor[:, 1], color=_FAINT, linewidth=0.6, alpha=0.6)
    axes.set_xlim(0, viewpoint.width)
    axes.set_ylim(viewpoint.height, 0)
    for label, point in (("x", [side + 0.02, 0.0]), ("y", [0.0, side + 0.02])):
        column, row = viewpoint.project(np.array([[*point, TABLE_HEIGHT_M]]))[0]
        axes.text(column, row, label, fontsize=9, color=_FAINT, ha="center", va="center", style="italic")
    axes.set_axis_off()


def _label_grasps(axes: Axes, viewpoint: Viewpoint, grasps: Sequence[Grasp], picked: Sequence[Grasp]) -> None:
    """Ranks at the wrists."""
    box = {"boxstyle": "round,pad=0.22", "facecolor": "white", "edgecolor": "none", "alpha": 0.82}
    tried = [_rank_of(grasp, grasps) for grasp in picked]
    for label, grasp, colour in (
        *((str(rank), grasp, _INK) for rank, grasp in enumerate(grasps[:8], start=1) if rank not in tried),
        *((f"{rank or ''} picked".strip(), grasp, PICKED_COLOUR) for rank, grasp in zip(tried, picked, strict=True)),
    ):
        wrist = grasp.T_workspace_tcp.apply([[0.0, 0.0, WRIST_Z_M - 0.012]])
        column, row = viewpoint.project(np.asarray(wrist))[0]
        axes.text(column, row, label, fontsize=9, color=colour, ha="center", va="center", fontweight="bold", bbox=box)


def _legend(axes: Axes, with_picked: bool) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=QUALITY_COLOURS[-1], label="grasp, coloured by quality; numbers: rank"),
        Patch(facecolor=HEIGHT_COLOURS[2], label="seen surface, coloured by height"),
        Patch(facecolor="#cccccf", label="not seen by the camera"),
    ]
    if with_picked:
        handles.insert(1, Patch(facecolor=PICKED_COLOUR, label="picked"))
    axes.legend(
        handles=handles, loc="lower left", fontsize=9, frameon=False, labelcolor=_FAINT, handlelength=1.1, borderpad=0.0
    )


def _colour_map(name: str, colours: NDArray[np.float64]) -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(name, colours.tolist())


def _scale(colours: Colormap, top: float) -> ScalarMappable:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    return ScalarMappable(Normalize(0.0, top), colours)


def _style(axes: Axes) -> None:
    axes.tick_params(labelsize=8, colors=_FAINT, length=2)
    for spine in axes.spines.values():
        spine.set_color("#d1d5db")
