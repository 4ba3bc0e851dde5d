"""The robot in its own depth image: which pixels show it, and how much of the workspace it hides.

Along a pixel's ray a convex body is an interval of 1/depth in which every plane is a bound that is linear in the
pixel's coordinates: the interval's ends are a minimum and a maximum over planes. They are computed at the middle of
blocks of pixels; what changes within a block is far less than the growth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_perception.camera import DepthView, PinholeCamera
from giga_perception.convex_body import ConvexBody
from giga_perception.robot_geometry import RobotGeometry
from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M

DEPTH_ERROR_SHARE = 0.02
"""A reading may come short by this share of its distance, and is still the arm's: cameras err in proportion."""

# The image is computed in blocks of this many pixels or fewer a row.
_BLOCKS_A_ROW = 160
# Voxels a side of the cube, for the share that the arm hides.
_SHARE_RESOLUTION = 20
_NEAREST_PROJECTED_M = 1e-3

FloatImage = NDArray[np.float32]
_WIDEN = np.ones((3, 3), dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class ArmInView:
    """What one view shows of the arm.

    on_arm: bool [H, W], the pixels to drop. arm_depth_m: float32, depth of the nearest link (not grown) at the middle
    of each block of `block` x `block` pixels; inf where there is none.
    """

    view: DepthView
    on_arm: NDArray[np.bool_]
    arm_depth_m: FloatImage
    block: int

    @property
    def remaining(self) -> DepthView:
        """The view without the arm: its pixels have no reading."""
        return replace(self.view, depth_m=np.where(self.on_arm, np.float32(0.0), self.view.depth_m))


def missing_links_sentence(geometry: RobotGeometry, T_camera_link: Mapping[str, RigidTransform]) -> str | None:
    """Which links have a shape but no transform in the mapping, in a sentence; None when all are there."""
    missing = [name for name in geometry.link_names if name not in T_camera_link]
    if not missing:
        return None
    return (
        f"no transform to {', '.join(missing)}: the robot's pixels there stay in the depth image; "
        "is robot_state_publisher running, with the frame prefix that perception is told?"
    )


def find_arm(
    geometry: RobotGeometry,
    view: DepthView,
    T_camera_link: Mapping[str, RigidTransform],
    depth_error_share: float = DEPTH_ERROR_SHARE,
) -> ArmInView:
    """The arm in a depth image.

    T_camera_link: maps each link's coordinates to the optical frame, by link name; links that are not in it are skipped
    (see `missing_links_sentence`). A link inside which the camera stands is its own housing, and skipped too.

    A pixel is dropped when its reading lies inside a grown link, or when its ray meets a link and the reading is not in
    front of it: nothing behind the arm can be seen, such readings are mixed ones at its edges. What is in front of the
    grown arm stays.
    """
    camera = view.camera
    block = -(-camera.width // _BLOCKS_A_ROW)
    blocks = _Blocks(camera, block)
    for link_body in geometry.bodies:
        if link_body.link in T_camera_link:
            # As a matrix once: asking a RigidTransform for its rotation costs more than the rest of the move.
            matrix = T_camera_link[link_body.link].as_matrix()
            blocks.add(_moved(link_body.body, matrix), _moved(link_body.grown, matrix))
    return ArmInView(view, blocks.drop(view.depth_m, depth_error_share), blocks.arm_depth_m(), block)


def hidden_share(arms: Sequence[ArmInView]) -> float:
    """How much of the cube's volume above the table the arm hides (0 to 1).

    Hidden is what lies behind or inside the arm in every view that looks at it; what no view looks at is not hidden.
    """
    points = _voxel_centres()
    seen = np.zeros(len(points), dtype=bool)
    in_any_view = np.zeros(len(points), dtype=bool)
    for arm in arms:
        camera = arm.view.camera
        x, y, z = arm.view.T_camera_workspace.apply(points).T
        in_front = z > _NEAREST_PROJECTED_M
        depth = np.where(in_front, z, 1.0)
        column = np.rint(camera.fx * x / depth + camera.cx)
        row = np.rint(camera.fy * y / depth + camera.cy)
        in_view = in_front & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
        looked_at = np.flatnonzero(in_view)
        blocks = row[looked_at].astype(np.intp) // arm.block, column[looked_at].astype(np.intp) // arm.block
        in_any_view |= in_view
        seen[looked_at[z[looked_at] < arm.arm_depth_m[blocks]]] = True
    return float(np.count_nonzero(in_any_view & ~seen) / len(points))


@lru_cache(maxsize=1)
def _voxel_centres() -> NDArray[np.float64]:
    across = (np.arange(_SHARE_RESOLUTION) + 0.5) * (WORKSPACE_SIZE_M / _SHARE_RESOLUTION)
    layers = round((WORKSPACE_SIZE_M - TABLE_HEIGHT_M) / WORKSPACE_SIZE_M * _SHARE_RESOLUTION)
    up = TABLE_HEIGHT_M + (np.arange(layers) + 0.5) * ((WORKSPACE_SIZE_M - TABLE_HEIGHT_M) / layers)
    points = np.stack(np.meshgrid(across, across, up, indexing="ij"), axis=-1).reshape(-1, 3)
    points.setflags(write=False)
    return points


def _moved(body: ConvexBody, T_camera_link: NDArray[np.float64]) -> ConvexBody:
    """The body in the camera's frame; the transform as a matrix [4, 4]."""
    rotation, translation = T_camera_link[:3, :3], T_camera_link[:3, 3]
    normals = body.normals @ rotation.T
    return ConvexBody(normals, body.offsets_m - normals @ translation, body.corners_m @ rotation.T + translation)


class _Blocks:
    """The arm in blocks of pixels, gathered body by body. Values are 1/depth (0 = far away, inf = at the camera)."""

    def __init__(self, camera: PinholeCamera, block: int) -> None:
        self._camera = camera
        self._block = block
        self._shape = (-(-camera.height // block), -(-camera.width // block))
        middle = (block - 1) / 2.0
        self._x = ((np.arange(self._shape[1]) * block + middle - camera.cx) / camera.fx).astype(np.float32)
        self._y = ((np.arange(self._shape[0]) * block + middle - camera.cy) / camera.fy).astype(np.float32)
        self._nearest_link = np.zeros(self._shape, dtype=np.float32)
        # On the arm's outline (rays that meet a link): all from here on is dropped.
        self._outline_near = np.zeros(self._shape, dtype=np.float32)
        # Around the outline (rays that meet a grown link only): what lies between is dropped. Two intervals a block for
        # two links one behind the other; a third is joined with the second, as hardly a ray runs along three rims.
        self._rims = [
            (np.zeros(self._shape, dtype=np.float32), np.full(self._shape, np.inf, dtype=np.float32)) for _ in range(2)
        ]

    def add(self, body: ConvexBody, grown: ConvexBody) -> None:
        """Add one body, given in the camera's frame, and the same grown."""
        window = self._window(grown.corners_m)
        if window is None or np.all(body.offsets_m <= 0.0):
            return
        near, far = self._interval(body, window)
        grown_near, grown_far = self._interval(grown, window)
        met, grown_met = near >= far, grown_near >= grown_far
        # A block to every side, as mixed readings reach beyond the outline. Where the grown body is thinner than that
        # (it is far away), the neighbour's depth serves.
        outline = cv2.dilate(met.astype(np.uint8), _WIDEN) > 0
        grown_near = np.where(grown_met, grown_near, np.float32(0.0))
        grown_near = np.where(grown_met, grown_near, cv2.dilate(grown_near, _WIDEN))
        rim = ~outline & grown_met

        nearest, outline_near = self._nearest_link[window], self._outline_near[window]
        np.maximum(nearest, near, out=nearest, where=met)
        np.maximum(outline_near, grown_near, out=outline_near, where=outline)
        for index, (near_image, far_image) in enumerate(self._rims):
            rim_near, rim_far = near_image[window], far_image[window]
            if index == len(self._rims) - 1:
                here = rim
            else:
                here = rim & ((rim_near == 0.0) | ((rim_near >= grown_far) & (grown_near >= rim_far)))
            np.maximum(rim_near, grown_near, out=rim_near, where=here)
            np.minimum(rim_far, grown_far, out=rim_far, where=here)
            rim &= ~here

    def drop(self, depth_m: FloatImage, depth_error_share: float) -> NDArray[np.bool_]:
        """Which pixels [H, W] show the arm; one without a reading never does."""
        on_arm = np.zeros(depth_m.shape, dtype=bool)
        touched = (self._outline_near > 0.0) | (self._rims[0][0] > 0.0)
        rows, columns = (np.flatnonzero(touched.any(axis=axis)) for axis in (1, 0))
        if len(rows) == 0:
            return on_arm
        blocks = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        pixels = tuple(slice(part.start * self._block, part.stop * self._block) for part in blocks)
        readings = depth_m[pixels]
        short = np.float32(1.0 - depth_error_share)
        found = readings >= self._pixels(_depth(self._outline_near[blocks]) * short, readings.shape)
        for near_image, far_image in self._rims:
            if not near_image.any():
                continue
            rim_near = self._pixels(_depth(near_image[blocks]) * short, readings.shape)
            rim_far = self._pixels(_depth(far_image[blocks]), readings.shape)
            found |= (readings >= rim_near) & (readings <= rim_far)
        # A grown link around the lens begins at depth 0, which is no reading.
        found &= (readings > 0.0) & np.isfinite(readings)
        on_arm[pixels] = found
        return on_arm

    def arm_depth_m(self) -> FloatImage:
        """Depth of the nearest link in each block; inf where there is none."""
        with np.errstate(divide="ignore"):
            return np.float32(1.0) / self._nearest_link

    def _window(self, corners_m: NDArray[np.float64]) -> tuple[slice, slice] | None:
        """Rows and columns of blocks that a body with these corners can touch; None when it is out of view."""
        z = corners_m[:, 2]
        if z.max() <= _NEAREST_PROJECTED_M:
            return None
        if z.min() <= _NEAREST_PROJECTED_M:
            return slice(0, self._shape[0]), slice(0, self._shape[1])
        camera, parts = self._camera, []
        for axis, focal, centre in ((1, camera.fy, camera.cy), (0, camera.fx, camera.cx)):
            pixel = (focal * corners_m[:, axis] / z + centre) / self._block
            # Room for the widening by one block.
            part = slice(max(0, int(pixel.min()) - 2), min(self._shape[1 - axis], max(0, int(pixel.max()) + 3)))
            if part.start >= part.stop:
                return None
            parts.append(part)
        return parts[0], parts[1]

    def _interval(self, body: ConvexBody, window: tuple[slice, slice]) -> tuple[FloatImage, FloatImage]:
        """1/depth at which the rays of the window's blocks enter the body, and leave it; enter < leave = not met.

        With s = 1/depth and the ray d = (x, y, 1), a plane says n . d + offset * s <= 0.
        """
        y, x = self._y[window[0]], self._x[window[1]]
        camera_outside = body.offsets_m > 0.0
        near = np.full((len(y), len(x)), np.inf, dtype=np.float32)
        far = np.zeros_like(near)
        for planes, end, keep in ((camera_outside, near, np.minimum), (~camera_outside, far, np.maximum)):
            # A plane through the camera bounds no depth, only directions; moved by a hair it does the same.
            offsets = body.offsets_m[planes]
            offsets = np.where(np.abs(offsets) < 1e-9, -1e-9, offsets)
            a, b, c = (-body.normals[planes] / offsets[:, None]).astype(np.float32).T
            bounds = (a[:, None] * x)[:, None, :] + (b[:, None] * y + c[:, None])[:, :, None]
            if len(bounds):
                keep(end, keep.reduce(bounds, axis=0), out=end)
        return near, far

    def _pixels(self, blocks: FloatImage, shape: tuple[int, ...]) -> FloatImage:
        """A value for each pixel of the window of that shape, from the values of blocks."""
        size = (blocks.shape[1] * self._block, blocks.shape[0] * self._block)
        pixels = cv2.resize(blocks, size, interpolation=cv2.INTER_NEAREST)
        return np.asarray(pixels[: shape[0], : shape[1]])


def _depth(inverse: FloatImage) -> FloatImage:
    """Depths of 1/depth; NaN, which compares as false, where that is 0."""
    with np.errstate(divide="ignore"):
        return np.where(inverse > 0.0, np.float32(1.0) / inverse, np.float32(np.nan))
