"""From which side a training sample sees its scene: the side view, any one of the stored views, or several fused.

The side view is the same in all scenes and is kept ready. Other views have poses of their own; they are kept compressed
(11 to 17 KB each, where the plain image would take 0.3 MB) and unpacked when they are drawn.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_perception.camera import DepthView, PinholeCamera
from giga_perception.projective_tsdf import ProjectiveFusion, window_fusion, workspace_window
from giga_perception.stored_depth import pack_depth, unpack_depth

ViewChoice = Literal["side", "any", "several"]
VIEW_CHOICES: tuple[ViewChoice, ...] = get_args(ViewChoice)
SIDE_VIEW = 0
# Fast; the differences of a rendered image are mostly zeros, which any level finds.
_COMPRESSION_LEVEL = 1


@dataclass(frozen=True, eq=False)
class CompressedView:
    """The part of a clean depth image that shows the workspace, compressed, with its camera."""

    camera: PinholeCamera
    T_camera_workspace: RigidTransform
    shape: tuple[int, int]
    packed: bytes

    def unpack(self) -> tuple[ProjectiveFusion, NDArray[np.float32]]:
        """How to fuse the image, and the image [h, w] in metres."""
        steps = np.frombuffer(zlib.decompress(self.packed), dtype=np.uint8).reshape(2, *self.shape)
        return window_fusion(self.camera, self.T_camera_workspace), unpack_depth(steps)


def compressed_view(view: DepthView) -> CompressedView:
    """Crops and compresses a view."""
    cropped = view.depth_m[workspace_window(view.camera, view.T_camera_workspace)]
    packed = zlib.compress(np.ascontiguousarray(pack_depth(cropped)).tobytes(), _COMPRESSION_LEVEL)
    return CompressedView(view.camera, view.T_camera_workspace, cropped.shape, packed)


def draw_views(rng: np.random.Generator, choice: ViewChoice, others: int, views_a_sample: int) -> Sequence[int]:
    """Which views a sample sees: SIDE_VIEW, or i + 1 for the i-th of the `others`.

    ``side``: the side view, and nothing is drawn. ``any``: one of all, the side view among them, each as likely.
    ``several``: `views_a_sample` of the others, or all where there are fewer. A scene without others shows its side.
    Raises ValueError for another choice.
    """
    if choice not in VIEW_CHOICES:
        raise ValueError(f"unknown choice of views {choice!r}: say one of {', '.join(VIEW_CHOICES)}")
    if choice == "side" or not others:
        return [SIDE_VIEW]
    if choice == "any":
        return [int(rng.integers(others + 1))]
    return [1 + int(index) for index in rng.permutation(others)[: max(1, views_a_sample)]]
