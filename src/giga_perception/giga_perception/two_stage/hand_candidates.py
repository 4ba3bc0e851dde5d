"""Where a hand could close on something that is seen: hands placed at sampled points, and those kept that fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.two_stage.observed_cloud import ObservedCloud
from giga_perception.two_stage.open_hand import CLOSING_REGION, FINGER_ENDS_M, PALM_CORNERS_M, SOLID_PARTS
from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M

FloatArray = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Surface points at which hands are placed, and candidates kept of all that fit.
SAMPLES = 100
MOST_CANDIDATES = 400
YAWS = 6
# How far the TCP lies behind the surface point.
DEPTHS_M = (0.0, 0.012, 0.024, 0.036)
# Surfaces that face further down than this are not approached.
LEAST_NORMAL_Z = -0.1
_CURVATURE_NEIGHBOURS = 30
# The hand keeps this much above the table.
_TABLE_CLEARANCE_M = 0.003
# Fewer seen points between the fingers are taken for noise.
_LEAST_HELD_POINTS = 5
# The outermost held points, this deep, are what a finger meets first. Their mean normal may point to the other finger
# by this much (the sine of its angle) at most.
_CONTACT_BAND_M = 0.006
_MOST_FACING_AWAY = 0.35
_CHUNK = 256


@dataclass(frozen=True, eq=False)
class Candidates:
    """N hands that fit, and how many were left at each stage.

    T_workspace_tcp: length N. widths_m: [N] extent of the seen points between the fingers, along the closing direction;
    of what is seen from one side only, less than the object's. placed: hands tried; clear: of those, hands that touch
    nothing seen, nor the table, and stay in the workspace; holding: of those, with opposing surfaces between the
    fingers.
    """

    T_workspace_tcp: RigidTransform
    widths_m: FloatArray
    placed: int
    clear: int
    holding: int

    def __len__(self) -> int:
        return len(self.widths_m)


@dataclass(frozen=True, eq=False)
class HandFit:
    """How N hands stand among seen points: clear [N], holding [N] (of the clear), widths_m [N] (of the holding)."""

    clear: Mask
    holding: Mask
    widths_m: FloatArray


def draw_candidates(cloud: ObservedCloud, rng: np.random.Generator) -> Candidates:
    """Hands at sampled points off the table, approached against the normal and halfway from above, that fit."""
    placed = _placed_hands(cloud, rng)
    if len(placed) == 0:
        return Candidates(placed, np.zeros(0, dtype=np.float32), 0, 0, 0)
    fit = hand_fit(cloud, placed)
    kept = np.flatnonzero(fit.holding)
    if len(kept) > MOST_CANDIDATES:
        kept = np.sort(rng.choice(kept, MOST_CANDIDATES, replace=False))
    return Candidates(
        T_workspace_tcp=placed[kept],
        widths_m=fit.widths_m[kept],
        placed=len(placed),
        clear=int(fit.clear.sum()),
        holding=int(fit.holding.sum()),
    )


def hand_fit(cloud: ObservedCloud, T_workspace_tcp: RigidTransform) -> HandFit:
    """Whether each of N open hands (a stack of TCP poses) fits around something seen, coming straight along z.

    The TCP and the fingers' ends must lie in the workspace; the palm may reach out of it, where nothing is seen.
    """
    count = len(T_workspace_tcp)
    R = T_workspace_tcp.rotation.as_matrix().astype(np.float32).reshape(-1, 3, 3)
    origin = T_workspace_tcp.translation.astype(np.float32).reshape(-1, 3)
    ends = FINGER_ENDS_M @ R.transpose(0, 2, 1) + origin[:, None]
    palm = PALM_CORNERS_M @ R.transpose(0, 2, 1) + origin[:, None]
    lowest = np.minimum(ends[..., 2].min(axis=1), palm[..., 2].min(axis=1))
    inside = np.all((origin >= 0.0) & (origin <= WORKSPACE_SIZE_M), axis=1)
    inside &= np.all((ends >= 0.0) & (ends <= WORKSPACE_SIZE_M), axis=(1, 2))
    clear: Mask = inside & (lowest > TABLE_HEIGHT_M + _TABLE_CLEARANCE_M)
    holding = np.zeros(count, dtype=bool)
    widths_m = np.zeros(count, dtype=np.float32)
    seen = cloud.off_table()
    for hands in np.array_split(np.flatnonzero(clear), max(1, -(-int(clear.sum()) // _CHUNK))):
        local = (seen.points_m - origin[hands, None]) @ R[hands]
        touched = np.zeros(len(hands), dtype=bool)
        for part in SOLID_PARTS:
            touched |= part.contains(local).any(axis=1)
        clear[hands] = ~touched
        held = CLOSING_REGION.contains(local)
        free = np.flatnonzero(~touched & (held.sum(axis=1) >= _LEAST_HELD_POINTS))
        opposing, extent_m = _grip(held[free], local[free, :, 1], seen.normals @ R[hands[free], :, 1].T)
        holding[hands[free]] = opposing
        widths_m[hands[free]] = extent_m
    return HandFit(clear, holding, widths_m)


def _grip(held: Mask, y_m: FloatArray, normal_y: FloatArray) -> tuple[Mask, FloatArray]:
    """Whether no finger would meet a surface that faces the other one, and the extent of what is held.

    held, y_m: [n, M], which points lie between the fingers, and where along the closing direction. normal_y: [M, n].
    """
    if len(held) == 0:
        return np.zeros(0, dtype=bool), np.zeros(0, dtype=np.float32)
    upper = np.where(held, y_m, -np.inf).max(axis=1)
    lower = np.where(held, y_m, np.inf).min(axis=1)
    at_upper = held & (y_m > upper[:, None] - _CONTACT_BAND_M)
    at_lower = held & (y_m < lower[:, None] + _CONTACT_BAND_M)
    normal = normal_y.T
    upper_normal = np.where(at_upper, normal, 0.0).sum(axis=1) / at_upper.sum(axis=1)
    lower_normal = np.where(at_lower, normal, 0.0).sum(axis=1) / at_lower.sum(axis=1)
    opposing: Mask = (upper_normal > -_MOST_FACING_AWAY) & (lower_normal < _MOST_FACING_AWAY)
    return opposing, (upper - lower).astype(np.float32)


def _placed_hands(cloud: ObservedCloud, rng: np.random.Generator) -> RigidTransform:
    """TCP poses at sampled points: two approaches, YAWS and DEPTHS_M of each."""
    usable = np.flatnonzero(~cloud.on_table & (cloud.normals[:, 2] > LEAST_NORMAL_Z))
    if len(usable) == 0:
        return RigidTransform.from_components(np.zeros((0, 3)), Rotation.identity(0))
    chosen = np.sort(rng.choice(usable, min(SAMPLES, len(usable)), replace=False))
    points, normals = cloud.points_m[chosen].astype(np.float64), cloud.normals[chosen].astype(np.float64)
    halfway = normals + np.array([0.0, 0.0, 1.0])
    halfway /= np.linalg.norm(halfway, axis=1, keepdims=True)
    outward = np.concatenate([normals, halfway])
    points = np.concatenate([points, points])
    closing = _closing_directions(cloud, points, outward)
    frames = Rotation.from_matrix(np.stack([np.cross(closing, -outward), closing, -outward], axis=-1))
    yaws = Rotation.from_rotvec(np.arange(YAWS)[:, None] * (np.pi / YAWS) * np.array([0.0, 0.0, 1.0]))
    turned = Rotation.concatenate([frames * yaw for yaw in yaws])
    points, outward = np.tile(points, (YAWS, 1)), np.tile(outward, (YAWS, 1))
    return RigidTransform.concatenate(
        [RigidTransform.from_components(points - depth_m * outward, turned) for depth_m in DEPTHS_M]
    )


def _closing_directions(
    cloud: ObservedCloud, points_m: NDArray[np.float64], outward: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Unit vectors [n, 3] across the outward direction along which the normals around a point vary most."""
    seen = cloud.off_table()
    _, neighbours = cKDTree(seen.points_m).query(points_m, k=min(_CURVATURE_NEIGHBOURS, len(seen.points_m)))
    around = seen.normals[np.asarray(neighbours).reshape(len(points_m), -1)].astype(np.float64)
    across = around - np.einsum("nkc,nc->nk", around, outward)[..., None] * outward[:, None]
    scatter = across.transpose(0, 2, 1) @ across
    # The outward direction gets the least of all, so that the greatest eigenvalue's vector lies across it.
    scatter -= outward[:, :, None] * outward[:, None, :]
    _, vectors = np.linalg.eigh(scatter)
    return np.asarray(vectors[:, :, 2])
