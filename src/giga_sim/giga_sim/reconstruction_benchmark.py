"""How well a network's occupancy matches the scene: volumetric IoU, and IoU between the fingers (paper, Table II).

Both are counted at the data set's 100,000 fixed points, which fill the cube evenly: the share of points in both shapes
among those in either. The paper meshes the prediction first; at points nothing is lost to the mesh.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.camera import DepthView
from giga_perception.dataset import DatasetError, SceneDataset, occupancy_points_m, read_scene_header
from giga_perception.depth_noise import add_depth_noise
from giga_perception.labelled_scene import SCENE_KINDS, LabelledScene
from giga_perception.network import Giga
from giga_perception.reconstruction import OccupancyField
from giga_perception.scene_encoding import encode_scene
from giga_perception.tsdf import TsdfGrid, fuse
from giga_perception.workspace import WORKSPACE_SIZE_M
from giga_sim.gripper_hand import MAX_WIDTH_M, open_hand_parts

BOOTSTRAP_DRAWS = 2000
_STREAM = 11  # of random numbers, apart from those that made the scene


@dataclass(frozen=True)
class Overlap:
    """How many points lie in both shapes, and in at least one."""

    intersection: int
    union: int

    @property
    def iou(self) -> float:
        """Their ratio; NaN when neither shape holds a point."""
        return self.intersection / self.union if self.union else float("nan")


@dataclass(frozen=True)
class SceneOverlap:
    """One scene: whole (all of the cube) and between the fingers of its successful grasps."""

    scene: str
    seed: int
    whole: Overlap
    between_fingers: Overlap


@dataclass(frozen=True)
class Share:
    """A figure in per cent and the ends of its 95 % interval."""

    percent: float
    interval_percent: tuple[float, float]


@dataclass(frozen=True)
class IouFigures:
    """One kind of IoU over scenes. mean: of each scene's own; pooled: of all their points taken together.

    scenes: how many have it (a scene without a successful grasp, or with nothing in either shape there, has none).
    Without any, mean and pooled are None.
    """

    scenes: int
    mean: Share | None
    pooled: Share | None


@cache
def closing_region_m() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper corner [3] of the space that the closing fingers sweep, in the frame of the grasp origin.

    x: the breadth of a finger; y: between the pads of the open hand, 8 cm; z: from the fingers' roots to their ends.
    With the Panda's hand 2.1 x 8.0 x 5.4 cm, the far end 5.0 cm along the approach (0.9 cm beyond the TCP).
    """
    _, finger, _ = open_hand_parts()
    lower, upper = finger.min(axis=0), finger.max(axis=0)
    lower[1], upper[1] = -MAX_WIDTH_M / 2.0, MAX_WIDTH_M / 2.0
    return lower, upper


def between_fingers(scene: LabelledScene) -> NDArray[np.bool_]:
    """Which occupancy points [P] lie in the closing region of any successful grasp of the scene.

    The paper evaluates "in the regions between the two fingers" of successful grasps: their union, so that a point
    counts once however many grasps hold it.
    """
    points_m = occupancy_points_m()
    lower, upper = closing_region_m()
    reach_m = float(np.linalg.norm(np.maximum(np.abs(lower), np.abs(upper))))
    inside = np.zeros(len(points_m), dtype=bool)
    held = np.asarray(scene.successes, dtype=bool)
    for centre_m, quaternion in zip(scene.centres_m[held], scene.rotations_xyzw[held], strict=True):
        near = np.flatnonzero(np.all(np.abs(points_m - centre_m) <= reach_m, axis=1))
        T_workspace_grasp = RigidTransform.from_components(centre_m, Rotation.from_quat(quaternion))
        local = np.asarray(T_workspace_grasp.inv().apply(points_m[near].astype(np.float64)))
        inside[near[np.all((local >= lower) & (local <= upper), axis=1)]] = True
    return inside


def scene_overlap(predicted: NDArray[np.bool_], scene: LabelledScene) -> SceneOverlap:
    """Compare a predicted occupancy [P], at `occupancy_points_m()`, with the scene's own."""
    both, either = predicted & scene.occupancy, predicted | scene.occupancy
    region = between_fingers(scene)
    return SceneOverlap(
        scene.scene,
        scene.seed,
        whole=Overlap(int(both.sum()), int(either.sum())),
        between_fingers=Overlap(int((both & region).sum()), int((either & region).sum())),
    )


def noisy_tsdf(scene: LabelledScene, noise_seed: int) -> TsdfGrid:
    """The network's input: the scene's image with the paper's noise. The same arguments give the same noise."""
    rng = np.random.default_rng([noise_seed, SCENE_KINDS.index(scene.scene), scene.seed, _STREAM])
    return fuse([DepthView(add_depth_noise(scene.depth_m, rng), scene.camera, scene.T_camera_workspace)])


def predicted_occupancy(model: Giga, tsdf: TsdfGrid) -> NDArray[np.bool_]:
    """What the network takes for occupied [P], at `occupancy_points_m()`: a probability above one half.

    Raises ValueError for a network without geometry.
    """
    import torch

    with torch.inference_mode():
        field = OccupancyField(model, encode_scene(model, tsdf.value))
        logits = field((occupancy_points_m() / np.float32(WORKSPACE_SIZE_M) - np.float32(0.5)).astype(np.float32))
    return np.asarray(logits > 0.0)


def held_out_scenes(
    dataset: SceneDataset, count_a_kind: int, progress: Callable[[int, int], None] | None = None
) -> list[Path]:
    """The files of the first `count_a_kind` validation scenes of each kind, in the order of their seeds.

    progress: told how many files were looked at, and of how many. Raises DatasetError when the data set holds none.
    """
    chosen: dict[str, list[Path]] = {kind: [] for kind in SCENE_KINDS}
    for done, path in enumerate(dataset.paths, start=1):
        header = read_scene_header(path)
        if header["split"] == "val" and len(chosen[header["scene"]]) < count_a_kind:
            chosen[header["scene"]].append(path)
        if progress is not None:
            progress(done, len(dataset.paths))
    if not any(chosen.values()):
        raise DatasetError(
            f"{dataset.folder} holds no validation scenes (objects that no training scene has): "
            "let `giga generate` make some, or name another folder"
        )
    return [path for paths in chosen.values() for path in paths]


def iou_figures(overlaps: Sequence[Overlap]) -> IouFigures:
    """Mean and pooled IoU of scenes; the intervals come from drawing whole scenes anew."""
    counts = np.array([[o.intersection, o.union] for o in overlaps if o.union > 0], dtype=np.float64).reshape(-1, 2)
    if len(counts) == 0:
        return IouFigures(0, None, None)
    own = counts[:, 0] / counts[:, 1]
    draws = np.random.default_rng(0).integers(len(counts), size=(BOOTSTRAP_DRAWS, len(counts)))
    drawn = counts[draws].sum(axis=1)
    total = counts.sum(axis=0)
    return IouFigures(
        scenes=len(counts),
        mean=_share(float(own.mean()), own[draws].mean(axis=1)),
        pooled=_share(float(total[0] / total[1]), drawn[:, 0] / drawn[:, 1]),
    )


def _share(value: float, drawn: NDArray[np.float64]) -> Share:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Share(100.0 * value, (100.0 * float(low), 100.0 * float(high)))
