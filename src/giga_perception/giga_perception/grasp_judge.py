"""A second look at each grasp: the scene's predicted shape, seen from the hand, says how likely it is to hold.

The affordance head judges a grasp by its centre alone, while orientation and width come from other heads; whether the
three fit together, nobody has looked. Here the occupancy head is asked at points between, under and beside the fingers
of each candidate, and a small network, trained on simulated trials of such candidates, turns what it finds into a
probability of success. The same look chooses among shifted and turned variants of a candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation
from torch import Tensor, nn
from torch.nn import functional

from giga_perception.grasp import Grasp
from giga_perception.neighbour_rotations import neighbours_rotations
from giga_perception.scene_query import FloatArray
from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M

# Where the scene's shape is looked up, in the TCP's frame: x across the fingers, y the closing direction, z the
# approach. The open fingers stand at 0.04 to 0.06 m in y and end at 0.009 m in z; the palm begins at about -0.045 m.
_X_M = np.linspace(-0.012, 0.012, 3)
_Y_M = np.linspace(-0.06, 0.06, 25)
_Z_M = np.linspace(-0.05, 0.02, 15)
PATCH_SHAPE = (len(_X_M), len(_Y_M), len(_Z_M))
PATCH_POINTS_M: NDArray[np.float64] = np.stack(np.meshgrid(_X_M, _Y_M, _Z_M, indexing="ij"), axis=-1).reshape(-1, 3)

FEATURE_COUNT = 6

# The ends of the open fingers, in the TCP's frame.
_FINGER_ENDS_M = np.array([[0.0, 0.045, 0.009], [0.0, -0.045, 0.009]])

# Candidates of lower quality are never looked at, and of the others so many at most. Low, since the network's quality
# and what the judge finds have little to do with each other: most rounds on piles that end for want of a grasp end with
# graspable objects whose best quality is about a tenth.
CANDIDATE_QUALITY = 0.03
MOST_CANDIDATES = 32

# Of so many, the most promising, other poses are tried too.
LOOKED_AT_AGAIN = 12

# What `variants` tries: shifts along the closing direction and the approach, and turns about the approach.
SHIFTS_Y_M = (0.0, -0.012, -0.006, 0.006, 0.012)
SHIFTS_Z_M = (0.0, -0.01, 0.01)
TURNS_RAD = (0.0, -0.26, 0.26)


@runtime_checkable
class ShapeQuery(Protocol):
    """An encoded scene that says what is occupied."""

    def occupancy(self, points: FloatArray) -> FloatArray:
        """[N] probability of occupancy at cube coordinates [N, 3], -0.5 to 0.5."""


@dataclass(frozen=True, eq=False)
class JudgeInput:
    """What the judge is told about N grasps.

    patches: [N, X, Y, Z], 0 to 1, predicted occupancy at PATCH_POINTS_M of each hand; 0 outside the cube.
    features: [N, FEATURE_COUNT], see `judge_input`.
    """

    patches: FloatArray
    features: FloatArray


class GraspJudge(nn.Module):
    """From occupancy around the hand and a few numbers to the logit of success."""

    def __init__(self) -> None:
        super().__init__()
        across, _, _ = PATCH_SHAPE
        self.conv1 = nn.Conv2d(across, 24, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(24, 32, kernel_size=3, padding=1)
        self.hidden = nn.Linear(32 * 6 * 3 + FEATURE_COUNT, 48)
        self.out = nn.Linear(48, 1)
        self.register_buffer("feature_mean", torch.zeros(FEATURE_COUNT))
        self.register_buffer("feature_scale", torch.ones(FEATURE_COUNT))

    def forward(self, patches: Tensor, features: Tensor) -> Tensor:
        """[N] logits for the arrays of a `JudgeInput`."""
        # A parallel hand turned by half a turn about its approach is the same hand.
        return 0.5 * (self._one_side(patches, features) + self._one_side(patches.flip(1, 2), features))

    def _one_side(self, patches: Tensor, features: Tensor) -> Tensor:
        seen = functional.max_pool2d(functional.relu(self.conv1(patches)), 2)
        seen = functional.relu(self.conv2(seen))
        seen = functional.adaptive_avg_pool2d(seen, (6, 3)).flatten(1)
        known = (features - self.get_buffer("feature_mean")) / self.get_buffer("feature_scale")
        hidden = functional.relu(self.hidden(functional.dropout(torch.cat([seen, known], dim=1), 0.2, self.training)))
        logits: Tensor = self.out(hidden).squeeze(1)
        return logits


def judge_input(
    query: ShapeQuery, T_workspace_tcp: RigidTransform, width_m: FloatArray, quality: FloatArray
) -> JudgeInput:
    """What the judge is told about N grasps: poses (a RigidTransform of length N), predicted widths [N], qualities [N].

    Features: logit of the quality; width; height of the lower finger end over the table, which the predicted shape
    lacks; how far the approach points down, and the closing direction up; distance of the TCP from the cube's middle.
    Lengths are in decimetres.
    """
    count = len(T_workspace_tcp)
    R = T_workspace_tcp.rotation.as_matrix()
    origin_m = T_workspace_tcp.translation
    points_m = PATCH_POINTS_M @ R.transpose(0, 2, 1) + origin_m[:, None, :]
    inside = np.all((points_m >= 0.0) & (points_m <= WORKSPACE_SIZE_M), axis=-1)
    cube = (points_m / WORKSPACE_SIZE_M - 0.5).astype(np.float32)
    occupied = np.zeros(inside.shape, dtype=np.float32)
    occupied[inside] = query.occupancy(cube[inside])
    bounded = np.clip(quality, 1e-4, 1.0 - 1e-4)
    middle_m = np.linalg.norm(origin_m[:, :2] - WORKSPACE_SIZE_M / 2.0, axis=1)
    features = np.stack(
        [
            np.log(bounded / (1.0 - bounded)),
            10.0 * np.asarray(width_m),
            10.0 * (np.min(_FINGER_ENDS_M @ R[:, 2, :].T, axis=0) + origin_m[:, 2] - TABLE_HEIGHT_M),
            -R[:, 2, 2],
            np.abs(R[:, 2, 1]),
            10.0 * middle_m,
        ],
        axis=1,
    ).astype(np.float32)
    return JudgeInput(occupied.reshape(count, *PATCH_SHAPE), features)


@torch.no_grad()
def success_probability(judge: GraspJudge, seen: JudgeInput) -> FloatArray:
    """[N] probability that each grasp holds."""
    if len(seen.features) == 0:
        return np.zeros(0, dtype=np.float32)
    logits: Tensor = judge(torch.from_numpy(seen.patches), torch.from_numpy(seen.features))
    probabilities: FloatArray = logits.sigmoid().numpy()
    return probabilities


def variants(T_workspace_tcp: RigidTransform) -> RigidTransform:
    """A grasp and its neighbours, the grasp itself first: shifted along y and z of the hand, turned about z."""
    moves = [
        RigidTransform.from_components([0.0, y_m, z_m], Rotation.from_euler("z", turn_rad))
        for turn_rad in TURNS_RAD
        for z_m in SHIFTS_Z_M
        for y_m in SHIFTS_Y_M
    ]
    return T_workspace_tcp * RigidTransform.concatenate(moves)


@dataclass(frozen=True, eq=False)
class SecondLook:
    """Judges the candidates of a detection.

    refine: put the best LOOKED_AT_AGAIN in the place of their most promising variants. several_rotations: before that,
    turn them about their centres as the network would have it at one of the points around, where that promises more.
    """

    judge: GraspJudge
    refine: bool = False
    several_rotations: bool = False

    def __call__(self, scene: object, grasps: tuple[Grasp, ...]) -> tuple[Grasp, ...]:
        """The best MOST_CANDIDATES of the grasps (best first), with the judge's probability for a quality, best first.

        scene: the `SceneQuery` they came from. Raises ValueError when it predicts no shape, and for several rotations
        when it answers on its grid only.
        """
        if not isinstance(scene, ShapeQuery):
            raise ValueError("a second look needs a network that predicts geometry")
        grasps = grasps[:MOST_CANDIDATES]
        if not grasps:
            return ()
        judged = self._best_of(scene, [_Candidate(grasp, grasp.quality) for grasp in grasps], _as_they_are)
        if self.several_rotations:
            judged = self._best_again(scene, judged, lambda poses: neighbours_rotations(scene, poses))
        if self.refine:
            judged = self._best_again(scene, judged, _varied)
        return tuple(candidate.grasp for candidate in judged)

    def _best_again(self, scene: ShapeQuery, judged: Sequence[_Candidate], around: _Around) -> list[_Candidate]:
        """Best first, the most promising LOOKED_AT_AGAIN each at the best of the poses around it."""
        again = self._best_of(scene, judged[:LOOKED_AT_AGAIN], around)
        return sorted([*again, *judged[LOOKED_AT_AGAIN:]], key=lambda candidate: -candidate.grasp.quality)

    def _best_of(self, scene: ShapeQuery, candidates: Sequence[_Candidate], around: _Around) -> list[_Candidate]:
        """Best first, each at the most promising of the poses around it, with that one's probability."""
        T_workspace_tcp = RigidTransform.concatenate([candidate.grasp.T_workspace_tcp for candidate in candidates])
        poses = RigidTransform.concatenate(list(around(T_workspace_tcp)))
        each = len(poses) // len(candidates)
        widths = np.array([candidate.grasp.width_m for candidate in candidates], dtype=np.float32)
        qualities = np.array([candidate.network_quality for candidate in candidates], dtype=np.float32)
        seen = judge_input(scene, poses, np.repeat(widths, each), np.repeat(qualities, each))
        probability = success_probability(self.judge, seen).reshape(len(candidates), each)
        best = np.argmax(probability, axis=1)
        placed = [
            replace(
                candidate,
                grasp=replace(
                    candidate.grasp,
                    T_workspace_tcp=poses[int(i * each + best[i])],
                    quality=float(probability[i, best[i]]),
                ),
            )
            for i, candidate in enumerate(candidates)
        ]
        return sorted(placed, key=lambda candidate: -candidate.grasp.quality)


_Around = Callable[[RigidTransform], Sequence[RigidTransform]]
"""N poses -> N stacks of poses, equally many in each, the pose itself first."""


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A grasp whose quality is the judge's, and the quality that the network gave it."""

    grasp: Grasp
    network_quality: float


def _as_they_are(T_workspace_tcp: RigidTransform) -> Sequence[RigidTransform]:
    return [T_workspace_tcp]


def _varied(T_workspace_tcp: RigidTransform) -> Sequence[RigidTransform]:
    return [variants(T_workspace_tcp[index]) for index in range(len(T_workspace_tcp))]
