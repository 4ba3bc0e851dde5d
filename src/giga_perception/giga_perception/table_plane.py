"""The table plane found in a depth image, against the one that is configured (z = TABLE_HEIGHT_M in the workspace).

The rule by which a plane is the table: of all planes within reach of the configured one (an offset at the middle of the
cube, and a tilt), the one that holds the most readings around the cube. A floor below, a wall behind and the sides of
things are out of that reach; the tops of things are in it, and hold fewer readings than the table. What a plane cannot
tell, turning about the vertical and position along the table, is kept as configured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.camera import DepthView, PinholeCamera, pixel_rays
from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M

WARN_OFFSET_M = 0.01
WARN_TILT_DEG = 3.0

MAX_OFFSET_M = 0.15
MAX_TILT_DEG = 20.0

# Readings farther than this from the middle of the cube's table have no say: depth cameras err more with distance.
_REACH_M = 0.6
_SAMPLED_READINGS = 10_000
_SCORED_READINGS = 1_000
_HYPOTHESES = 1_000
_INLIER_M = 0.010
_LEAST_INLIER_M = 0.003
_REFINEMENTS = 8
# Tukey's biweight looks at what lies within so many standard deviations.
_BIWEIGHT_REACH = 4.7
# Too little to tell: fewer readings on the plane (of the sample), or a patch thinner than this standard deviation.
_LEAST_INLIERS = 200
_LEAST_SHARE = 0.05
_LEAST_SPREAD_M = 0.025
# In a heap of things any cut holds some readings. On a plane most of those nearby lie on it: within `_INLIER_M` of it,
# of those within three times that; evenly spread ones would give a third.
_LEAST_PEAK = 0.5

TABLE_MIDDLE_M = np.array([WORKSPACE_SIZE_M / 2.0, WORKSPACE_SIZE_M / 2.0, TABLE_HEIGHT_M])
"""The middle of the cube's piece of the table, in the workspace: where offsets are measured."""

FloatArray = NDArray[np.float64]


class TablePlaneNotFoundError(ValueError):
    """The image does not show the table well enough; the message says what is lacking, and what to do."""


@dataclass(frozen=True, eq=False)
class TablePlane:
    """A table plane found in one view.

    normal_camera [3], distance_m: points x of the plane, in the optical frame, have normal_camera . x + distance_m = 0;
    the normal is a unit vector towards the camera, the distance is the camera's height above the plane.
    inliers of readings: how many of the readings looked at (a sample, around the cube) lie on the plane. image_share:
    the share of all the image's readings on it (0 to 1). residual_m: robust standard deviation of the inliers about the
    plane.
    """

    T_camera_workspace: RigidTransform
    normal_camera: FloatArray
    distance_m: float
    inliers: int
    readings: int
    image_share: float
    residual_m: float

    @property
    def normal_workspace(self) -> FloatArray:
        """The plane's upward unit normal [3] in the workspace as configured."""
        return np.asarray(self.T_camera_workspace.rotation.inv().apply(self.normal_camera))

    @property
    def offset_m(self) -> float:
        """How far the plane lies above (+) or below (-) the middle of the configured table, along its own normal."""
        middle = self.T_camera_workspace.apply(TABLE_MIDDLE_M)
        return -float(self.normal_camera @ middle + self.distance_m)

    @property
    def tilt_deg(self) -> float:
        """Angle between the plane and the configured table."""
        normal = self.normal_workspace
        return float(np.degrees(np.arctan2(np.hypot(normal[0], normal[1]), normal[2])))

    @property
    def height_m(self) -> float:
        """The plane's z over the middle of the cube, in the workspace as configured."""
        return TABLE_HEIGHT_M + self.offset_m / float(self.normal_workspace[2])

    @property
    def T_workspace_corrected(self) -> RigidTransform:
        """Maps coordinates in the corrected workspace to the configured one.

        The smallest rotation that puts z along the plane's normal, about the middle of the table, and the shift along
        that normal onto the plane.
        """
        normal = self.normal_workspace
        axis = np.cross([0.0, 0.0, 1.0], normal)
        length = float(np.linalg.norm(axis))
        turn = axis * (np.radians(self.tilt_deg) / length) if length > 0.0 else np.zeros(3)
        rotation = Rotation.from_rotvec(turn)
        middle = TABLE_MIDDLE_M + self.offset_m * normal
        return RigidTransform.from_components(middle - rotation.apply(TABLE_MIDDLE_M), rotation)

    @property
    def corrected_T_camera_workspace(self) -> RigidTransform:
        """The camera's pose with which this plane is the table."""
        return self.T_camera_workspace * self.T_workspace_corrected

    def height_above_m(self, depth_m: NDArray[np.float32], camera: PinholeCamera) -> NDArray[np.float32]:
        """Height [H, W] of each reading above the plane; NaN where there is none."""
        rays = pixel_rays(camera, np.arange(camera.height)[:, None], np.arange(camera.width))
        height = (rays @ self.normal_camera) * depth_m + self.distance_m
        return np.where(np.isfinite(depth_m) & (depth_m > 0.0), height, np.nan).astype(np.float32)


def find_table_plane(
    view: DepthView, *, max_offset_m: float = MAX_OFFSET_M, max_tilt_deg: float = MAX_TILT_DEG, seed: int = 0
) -> TablePlane:
    """The table in a depth view, by random samples of three readings, then refined on all; same input, same answer.

    The view's pose is the configured one; readings of the robot should be taken out before (`ArmInView.remaining`).
    max_offset_m, max_tilt_deg: how far from the configured table a plane can lie and still be it.
    Raises TablePlaneNotFoundError when there is no such plane or too little of it is seen.
    """
    image_points = _sampled_readings(view)
    middle = view.T_camera_workspace.apply(TABLE_MIDDLE_M)
    points = image_points[np.linalg.norm(image_points - middle, axis=1) <= _REACH_M]
    if len(points) < _LEAST_INLIERS:
        raise TablePlaneNotFoundError(
            f"only {len(points)} of the depth readings looked at lie within {_REACH_M:g} m of the configured table: "
            "does the camera look at it, and is its pose right?"
        )
    upwards = view.T_camera_workspace.rotation.apply([0.0, 0.0, 1.0])
    if upwards @ middle >= 0.0:
        raise TablePlaneNotFoundError("by its configured pose the camera stands below the table: correct that first")
    found = _best_sample(points, middle, upwards, max_offset_m, max_tilt_deg, np.random.default_rng(seed))
    reach = f"{100.0 * max_offset_m:g} cm and {max_tilt_deg:g} degrees"
    if found is None:
        raise TablePlaneNotFoundError(
            f"no plane within {reach} of the configured table is seen: is the table in the image, and the configured "
            "pose roughly right?"
        )
    normal, distance_m, sigma_m = _refined(points, *found)
    off_plane_m = np.abs(points @ normal + distance_m)
    tolerance_m = max(_LEAST_INLIER_M, 3.0 * sigma_m)
    on_plane = off_plane_m <= tolerance_m
    _check_enough(points[on_plane], len(points), off_plane_m)
    _check_within(normal, distance_m, middle, upwards, max_offset_m, max_tilt_deg, reach)
    return TablePlane(
        T_camera_workspace=view.T_camera_workspace,
        normal_camera=normal,
        distance_m=distance_m,
        inliers=int(np.count_nonzero(on_plane)),
        readings=len(points),
        image_share=float(np.mean(np.abs(image_points @ normal + distance_m) <= tolerance_m)),
        residual_m=sigma_m,
    )


def plane_warning(
    plane: TablePlane, max_offset_m: float = WARN_OFFSET_M, max_tilt_deg: float = WARN_TILT_DEG
) -> str | None:
    """A sentence when the table is farther from where it is configured than that; None when it is not."""
    if abs(plane.offset_m) <= max_offset_m and plane.tilt_deg <= max_tilt_deg:
        return None
    return (
        f"the table in the depth image {offset_in_words(plane)} the configured one and is tilted by "
        f"{plane.tilt_deg:.1f} degrees (at most {1000.0 * max_offset_m:g} mm and {max_tilt_deg:g} degrees are good): "
        "run ./giga calibrate table"
    )


def offset_in_words(plane: TablePlane) -> str:
    """`lies 12.3 mm above`, or below."""
    side = "above" if plane.offset_m >= 0.0 else "below"
    return f"lies {abs(1000.0 * plane.offset_m):.1f} mm {side}"


def _sampled_readings(view: DepthView) -> FloatArray:
    """Readings evenly spread over the image, as points [N, 3] in the camera's frame."""
    stride = max(1, round(np.sqrt(view.depth_m.size / _SAMPLED_READINGS)))
    rows, columns = (np.arange(stride // 2, size, stride) for size in view.depth_m.shape)
    depth_m = view.depth_m[rows[:, None], columns].astype(np.float64)
    valid = np.isfinite(depth_m) & (depth_m > 0.0)
    return np.asarray(pixel_rays(view.camera, rows[:, None], columns)[valid] * depth_m[valid, None])


def _best_sample(
    points: FloatArray,
    middle: FloatArray,
    upwards: FloatArray,
    max_offset_m: float,
    max_tilt_deg: float,
    rng: np.random.Generator,
) -> tuple[FloatArray, float] | None:
    """The plane through three readings, within reach of the configured one, that holds the most; None = no such plane.

    Own code, and not Open3D's segment_plane: that cannot be told which planes count, nor be seeded for one call.
    """
    a, b, c = points[rng.integers(len(points), size=(3, _HYPOTHESES))]
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1)
    usable = lengths > 1e-9
    normals = normals[usable] / lengths[usable, None]
    normals *= np.where(normals @ upwards < 0.0, -1.0, 1.0)[:, None]
    distances = -np.einsum("ij,ij->i", normals, a[usable])
    within = (normals @ upwards >= np.cos(np.radians(max_tilt_deg))) & (
        np.abs(normals @ middle + distances) <= max_offset_m
    )
    normals, distances = normals[within], distances[within]
    if len(normals) == 0:
        return None
    scored = points[rng.integers(len(points), size=_SCORED_READINGS)].astype(np.float32)
    off_m = scored @ normals.T.astype(np.float32) + distances.astype(np.float32)
    held = np.count_nonzero(np.abs(off_m, out=off_m) <= _INLIER_M, axis=0)
    best = int(np.argmax(held))
    return normals[best], float(distances[best])


def _refined(points: FloatArray, normal: FloatArray, distance_m: float) -> tuple[FloatArray, float, float]:
    """Normal, distance and the readings' standard deviation; readings weigh the less, the farther off the plane."""
    sigma_m = _INLIER_M
    for _ in range(_REFINEMENTS):
        off_m = points @ normal + distance_m
        reach_m = max(_LEAST_INLIER_M, _BIWEIGHT_REACH * sigma_m)
        # The widest look takes in the first band around the best sample, never what stands above it.
        near = np.abs(off_m) < min(reach_m, 3.0 * _INLIER_M)
        if np.count_nonzero(near) < 3:
            break
        weight = (1.0 - (off_m[near] / reach_m) ** 2) ** 2
        centre = np.average(points[near], axis=0, weights=weight)
        offsets = points[near] - centre
        scatter = (offsets * weight[:, None]).T @ offsets
        refined = np.linalg.eigh(scatter)[1][:, 0]
        normal = refined * np.sign(refined @ normal)
        distance_m = -float(normal @ centre)
        sigma_m = min(_INLIER_M, 1.4826 * float(np.median(np.abs(offsets @ normal))))
    return normal, distance_m, sigma_m


def _check_within(
    normal: FloatArray,
    distance_m: float,
    middle: FloatArray,
    upwards: FloatArray,
    max_offset_m: float,
    max_tilt_deg: float,
    reach: str,
) -> None:
    """Refining may have led out of reach: then it was no plane, or another."""
    if normal @ upwards < np.cos(np.radians(max_tilt_deg)) or abs(normal @ middle + distance_m) > max_offset_m:
        raise TablePlaneNotFoundError(
            f"what fits a plane best lies more than {reach} off the configured table: is the table in the image, and "
            "the configured pose roughly right?"
        )


def _check_enough(on_plane: FloatArray, readings: int, off_plane_m: FloatArray) -> None:
    """Refuse a plane that the image hardly shows. on_plane: points [N, 3]; off_plane_m: distances of all readings."""
    if len(on_plane) < max(_LEAST_INLIERS, _LEAST_SHARE * readings):
        raise TablePlaneNotFoundError(
            f"too little of the table is seen: {len(on_plane)} of {readings} readings around the cube lie on one "
            "plane; clear the table, or turn the camera to it"
        )
    spread_m = np.sqrt(np.linalg.eigvalsh(np.cov(on_plane.T))[1])
    if spread_m < _LEAST_SPREAD_M:
        raise TablePlaneNotFoundError(
            "only a narrow strip of the table is seen, which does not tell its tilt: clear the table, or turn the "
            "camera to it"
        )
    nearby = np.count_nonzero(off_plane_m <= 3.0 * _INLIER_M)
    if np.count_nonzero(off_plane_m <= _INLIER_M) < _LEAST_PEAK * nearby:
        raise TablePlaneNotFoundError(
            "no plane stands out among the readings around the cube: clear the table, or turn the camera to it"
        )
