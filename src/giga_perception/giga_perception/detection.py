"""Grasp detection: depth views -> TSDF -> network -> ranked grasps, and why there are as many as there are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception import grasp_selection
from giga_perception.augmentation import IDENTITY
from giga_perception.camera import DepthView
from giga_perception.camera_side import corners_turned_back, grasps_turned_back, turn_to_trained_side, turned
from giga_perception.compute_device import usable_device
from giga_perception.detection_mode import DetectionMode, mode_named
from giga_perception.detection_report import DetectionCounts, why_none
from giga_perception.grasp import Grasp, T_workspace_tcp_from_grasp_origin
from giga_perception.grasp_judge import CANDIDATE_QUALITY, SecondLook
from giga_perception.judge_file import judge_path, load_judge
from giga_perception.scene_query import GraspNetwork, SceneQuery
from giga_perception.selection_policy import SelectionPolicy, best_first, ordered
from giga_perception.symmetric_average import SymmetricAverage, averaged
from giga_perception.table_levelling import levelled
from giga_perception.tsdf import TSDF_RESOLUTION, TsdfGrid, fuse
from giga_perception.weights import load_model, model_name, model_path
from giga_perception.workspace import WORKSPACE_SIZE_M

if TYPE_CHECKING:
    import trimesh

# With `best_forced`, the single best grasp is given when it reaches at least this quality.
FORCED_QUALITY = 0.5


@dataclass(frozen=True, eq=False)
class Detection:
    """The answer of one detection.

    grasps: in the order of the detector's selection policy (best first unless told otherwise), TCP poses in the
        workspace frame.
    report: why these, or why none.
    quality: float32 [R, R, R], smoothed; 0 where a mask forbids a grasp; a value belongs to its voxel's lower corner.
    tsdf: the network's input.
    """

    grasps: tuple[Grasp, ...]
    report: DetectionCounts
    quality: NDArray[np.float32]
    tsdf: TsdfGrid


class GraspDetector:
    """Finds grasps in depth views with one network. Holds no state between calls; safe to use from several threads."""

    def __init__(
        self,
        model: GraspNetwork,
        *,
        model_name: str = "unnamed",
        resolution: int = TSDF_RESOLUTION,
        threshold: float = 0.5,
        out_threshold: float = 0.5,
        best_forced: bool = False,
        policy: SelectionPolicy = best_first,
        second_look: SecondLook | None = None,
        faces_cameras: bool = False,
        levels_table: bool = False,
    ) -> None:
        """A detector for this network.

        resolution: grasp centres asked for along each side of the workspace (40, or 60 for the paper's "HR").
        threshold: least quality of a grasp, 0 to 1. out_threshold: TSDF value above which a voxel is in front of a
        surface (the authors' benchmark uses 0.1). best_forced: when nothing reaches the threshold, give the single best
        grasp of at least FORCED_QUALITY. policy: the order in which grasps are to be tried (`selection_policy`).
        second_look: what judges the network's candidates anew; their qualities are then its probabilities.
        faces_cameras: look at the scene from the side that training looked from, wherever the cameras stand
        (`camera_side`). levels_table: take the cameras' scale errors out of their images first (`table_levelling`).
        Raises ValueError for values out of range, and for a network without grasp heads or of another resolution.
        """
        if not model.has_grasps:
            raise ValueError(
                f"model '{model_name}' is a {model.kind}, which predicts geometry only: "
                "detection needs a model with grasp heads"
            )
        if not 8 <= resolution <= 256:
            raise ValueError(f"resolution must be 8 to 256 centres a side, got {resolution}")
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(f"threshold is a probability, 0 to 1, got {threshold}")
        if not 0.0 < out_threshold < 1.0:
            raise ValueError(f"out_threshold is a TSDF value between 0 and 1, got {out_threshold}")
        model.check_resolution(resolution)
        self.model_name = model_name
        self.resolution = resolution
        self.threshold = threshold
        self.out_threshold = out_threshold
        self.best_forced = best_forced
        self.policy = policy
        self.second_look = second_look
        self.faces_cameras = faces_cameras
        self.levels_table = levels_table
        self.model = model

    @classmethod
    def from_file(
        cls,
        path: Path | None = None,
        *,
        resolution: int = TSDF_RESOLUTION,
        threshold: float = 0.5,
        out_threshold: float = 0.5,
        best_forced: bool = False,
        policy: SelectionPolicy = best_first,
        mode: str | DetectionMode = "auto",
        averaging: str | None = None,
        device: str = "cpu",
    ) -> GraspDetector:
        """A detector with the model of this file; None means $GIGA_MODEL or else the shipped weights.

        mode: a name of `detection_mode.MODES`, or a mode of one's own: what is done beyond the network's own answer;
            "auto" is "fast" for a model with a judge beside it (`giga judge`), else "plain".
        averaging: in place of the mode's, a name of `augmentation.AUGMENTATIONS`: the network is asked about these
            images of the scene too.
        device: where the network runs, as torch calls it ("cpu", "cuda").
        Raises giga_perception.ModelFileError when a file cannot be used, ValueError for an unknown mode or device.
        """
        path = model_path(path)
        network, card = load_model(path)
        if device != "cpu":
            network = network.to(usable_device(device))
        chosen = mode_named(mode, has_judge=judge_path(path).is_file())
        second_look = None
        if chosen.second_look:
            judge = load_judge(judge_path(path), network)
            second_look = SecondLook(judge, refine=chosen.refine, several_rotations=chosen.several_rotations)
        return cls(
            averaged(network, averaging or chosen.averaging),
            model_name=model_name(path, card),
            resolution=resolution,
            threshold=threshold,
            out_threshold=out_threshold,
            best_forced=best_forced,
            policy=policy,
            second_look=second_look,
            faces_cameras=chosen.faces_cameras,
            levels_table=chosen.levels_table,
        )

    def detect(self, views: Sequence[DepthView]) -> Detection:
        """Ranked grasps for the scene in these depth views (at least one)."""
        start = time.perf_counter()
        if self.levels_table:
            views = [levelled(view) for view in views]
        tsdf = fuse(views)
        mask_tsdf = tsdf if self.resolution == tsdf.resolution else fuse(views, self.resolution)
        integrate_ms = _ms_since(start)
        turn = turn_to_trained_side(views) if self.faces_cameras else IDENTITY
        if turn == IDENTITY:
            detection = self.detect_in(tsdf, mask_tsdf)
        else:
            seen = self.detect_in(turned(tsdf, turn), turned(mask_tsdf, turn))
            # Ordered anew: "highest" and "best" stay as they are, a caller's policy may look at where a grasp is.
            grasps = ordered(grasps_turned_back(seen.grasps, turn), self.policy)
            detection = replace(seen, grasps=grasps, quality=corners_turned_back(seen.quality, turn), tsdf=tsdf)
        report = replace(detection.report, integrate_ms=integrate_ms, total_ms=_ms_since(start))
        return replace(detection, report=report)

    def detect_in(self, tsdf: TsdfGrid, mask_tsdf: TsdfGrid | None = None) -> Detection:
        """Ranked grasps for the scene in this TSDF (40^3, the network's input).

        mask_tsdf: the same scene at the detector's resolution, which says where surfaces are; needed only when that is
        another resolution than the TSDF's. Raises ValueError when it is missing or does not fit.
        """
        mask_tsdf = tsdf if mask_tsdf is None else mask_tsdf
        if mask_tsdf.resolution != self.resolution:
            raise ValueError(
                f"detection at {self.resolution}^3 needs a TSDF of that resolution for its mask, "
                f"got {mask_tsdf.resolution}^3"
            )
        start = time.perf_counter()
        near = grasp_selection.near_surface(mask_tsdf.value, self.out_threshold)
        inside = near & grasp_selection.in_bounds(self.resolution)
        # Only what the masks can keep, and what the smoothing of those reaches, is ever asked of the network.
        kept = np.flatnonzero(inside)
        reached = np.flatnonzero(grasp_selection.within_smoothing_reach(inside)) if len(kept) else kept
        mask_ms = _ms_since(start)

        quality = np.zeros(near.shape, dtype=np.float32)
        width = np.zeros(near.shape, dtype=np.float32)
        scene = self.model.scene(tsdf.value, self.resolution) if len(kept) else None
        if scene is not None:
            quality.flat[reached] = scene.quality(reached)
            width.flat[kept] = scene.width(kept)
        network_ms = _ms_since(start) - mask_ms

        allowed = inside & grasp_selection.width_is_valid(width)
        quality = np.where(allowed, grasp_selection.smoothed(quality), np.float32(0))
        least = min(self.threshold, FORCED_QUALITY) if self.best_forced else self.threshold
        if self.second_look is not None:
            least = min(least, CANDIDATE_QUALITY)
        centres = grasp_selection.suppress_non_maxima(quality, least)
        candidates_start = time.perf_counter()
        candidates = self._grasps(centres, self._rotations(scene, centres), width, quality)
        best_quality = float(quality.max())
        if self.second_look is not None and scene is not None:
            candidates = self.second_look(scene, candidates)
            best_quality = candidates[0].quality if candidates else best_quality
        network_ms += _ms_since(candidates_start)
        forced = self.best_forced and best_quality < self.threshold
        threshold = min(self.threshold, FORCED_QUALITY) if forced else self.threshold
        good = tuple(grasp for grasp in candidates if grasp.quality >= threshold)
        grasps = ordered(good[:1] if forced else good, self.policy)
        asked = threshold if self.second_look is None else least  # of the network's own qualities
        report = DetectionCounts(
            model=self.model_name,
            voxels_total=tsdf.value.size,
            voxels_observed=int(np.count_nonzero(tsdf.weight > 0)),
            centres_queried=len(reached),
            centres_near_surface=int(np.count_nonzero(near)),
            centres_in_bounds=len(kept),
            centres_width_valid=int(np.count_nonzero(allowed)),
            above_threshold=int(np.count_nonzero(allowed & (quality >= asked))),
            after_nms=len(grasps),
            after_region=len(grasps),
            quality_threshold=threshold,
            best_quality=best_quality,
            network_ms=network_ms,
            selection_ms=_ms_since(start) - network_ms,
            total_ms=_ms_since(start),
        )
        return Detection(grasps, replace(report, message=why_none(report)), quality, tsdf)

    def reconstruct(self, tsdf: TsdfGrid, resolution: int = 40, max_triangles: int = 4000) -> trimesh.Trimesh:
        """A watertight mesh, in workspace metres, of what the network takes for occupied; empty when nothing is.

        See `giga_perception.reconstruction.reconstruct`. Raises ValueError for a network without a geometry head.
        """
        from giga_perception.network import Giga
        from giga_perception.reconstruction import reconstruct

        network = self.model.network if isinstance(self.model, SymmetricAverage) else self.model
        if not isinstance(network, Giga) or not network.has_geometry:
            raise ValueError(
                f"model '{self.model_name}' is a {self.model.kind}, which predicts no geometry: "
                "a reconstruction needs giga, giga-geo or giga-detach"
            )
        return reconstruct(network, tsdf, resolution, max_triangles)

    def _rotations(self, scene: SceneQuery | None, centres: NDArray[np.intp]) -> Rotation:
        """Orientations of the grasps centred at these grid points [N, 3]."""
        if scene is None or len(centres) == 0:
            return Rotation.identity(0)
        flat = np.ravel_multi_index(tuple(centres.T), (self.resolution,) * 3)
        return Rotation.from_quat(scene.rotation(flat).astype(np.float64))

    def _grasps(
        self,
        centres: NDArray[np.intp],
        rotations: Rotation,
        width: NDArray[np.float32],
        quality: NDArray[np.float32],
    ) -> tuple[Grasp, ...]:
        """Grasps at these grid points, from the network's grasp-origin frame to TCP poses in metres."""
        if len(centres) == 0:
            return ()
        positions_m = centres * (WORKSPACE_SIZE_M / self.resolution)
        T_workspace_tcp = T_workspace_tcp_from_grasp_origin(RigidTransform.from_components(positions_m, rotations))
        return tuple(
            Grasp(
                T_workspace_tcp=T_workspace_tcp[i],
                width_m=float(width[x, y, z]) * WORKSPACE_SIZE_M,
                quality=float(quality[x, y, z]),
            )
            for i, (x, y, z) in enumerate(centres)
        )


def _ms_since(start: float) -> float:
    """Milliseconds of wall time since `start`, a reading of time.perf_counter()."""
    return (time.perf_counter() - start) * 1000.0
