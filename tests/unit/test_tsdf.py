"""TSDF fusion: where the surface lies, what unseen and free voxels hold, and that bad readings change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception import TABLE_HEIGHT_M, DepthView, PinholeCamera, TsdfGrid, fuse

CAMERA = PinholeCamera(width=160, height=120, fx=135.0, fy=135.0, cx=80.0, cy=60.0)


def camera_above(x_m: float = 0.15, y_m: float = 0.15, height_m: float = 0.60) -> RigidTransform:
    """T_camera_workspace of a camera over the workspace looking straight down (its x along the workspace's x)."""
    T_workspace_camera = RigidTransform.from_components([x_m, y_m, height_m], Rotation.from_quat([1, 0, 0, 0]))
    return T_workspace_camera.inv()


def table_view(depth_m: NDArray[np.float32] | None = None, x_m: float = 0.15) -> DepthView:
    """An empty table seen from above: every pixel reads the distance to the table plane."""
    if depth_m is None:
        depth_m = np.full((120, 160), 0.60 - TABLE_HEIGHT_M, dtype=np.float32)
    return DepthView(depth_m, CAMERA, camera_above(x_m))


def test_the_surface_is_one_half_and_distances_follow_the_voxel_centres() -> None:
    grid = fuse([table_view()])
    column = grid.value[20, 20]
    centres_m = (np.arange(40) + 0.5) * grid.voxel_m
    # In front of the table by d the value is 0.5 + d / (2 * truncation).
    expected = 0.5 + (centres_m - TABLE_HEIGHT_M) / (2 * 4 * grid.voxel_m)
    near = np.abs(centres_m - TABLE_HEIGHT_M) < 3 * grid.voxel_m
    np.testing.assert_allclose(column[near], expected[near], atol=1e-3)


def test_free_and_unseen_are_both_zero_and_the_weight_tells_them_apart() -> None:
    grid = fuse([table_view()])
    assert grid.value[20, 20, 30] == 0, "free space above the table"
    assert grid.weight[20, 20, 30] == 1, "free space above the table"
    assert grid.value[20, 20, 0] == 0, "unseen space below the table"
    assert grid.weight[20, 20, 0] == 0, "unseen space below the table"


def test_the_first_index_is_x() -> None:
    depth_m = np.full((120, 160), 0.60 - TABLE_HEIGHT_M, dtype=np.float32)
    depth_m[:, 90:] -= 0.10  # something high on the side of large x
    grid = fuse([table_view(depth_m)])
    # The surface 0.15 above the bottom lies between voxels 19 and 20.
    assert grid.value[32, 20, 20] > 0.5 > grid.value[32, 20, 19] > 0
    assert grid.value[5, 20, 20] == 0


def test_several_views_add_up() -> None:
    left, right = table_view(x_m=0.10), table_view(x_m=0.20)
    grid = fuse([left, right])
    np.testing.assert_array_equal(grid.weight, fuse([left]).weight + fuse([right]).weight)
    assert grid.weight.max() == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0, 2.0, 5.0])
def test_unusable_readings_are_as_good_as_none(bad: float) -> None:
    damaged = table_view().depth_m.copy()
    damaged[40:80, 60:100] = bad
    missing = np.where(damaged == table_view().depth_m, damaged, np.float32(0))
    reference, grid = fuse([table_view(missing)]), fuse([table_view(damaged)])
    np.testing.assert_array_equal(grid.value, reference.value)
    np.testing.assert_array_equal(grid.weight, reference.weight)
    assert grid.weight[20, 20, 10] == 0


def test_an_empty_image_sees_nothing() -> None:
    grid = fuse([table_view(np.zeros((120, 160), dtype=np.float32))], resolution=60)
    assert grid.resolution == 60
    assert grid.voxel_m == pytest.approx(0.005)
    assert not grid.value.any()
    assert not grid.weight.any()


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        fuse([])
    with pytest.raises(ValueError, match="does not fit a camera"):
        table_view(np.zeros((160, 120), dtype=np.float32))
    with pytest.raises(ValueError, match="float32 metres"):
        table_view(np.zeros((120, 160), dtype=np.uint16))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="focal lengths"):
        PinholeCamera(width=640, height=480, fx=0.0, fy=0.0, cx=0.0, cy=0.0)
    with pytest.raises(ValueError, match="cube"):
        TsdfGrid(np.zeros((40, 40, 20), np.float32), np.zeros((40, 40, 20), np.float32))


@pytest.mark.parametrize(("resolution", "name"), [(40, "tsdf_grid"), (60, "tsdf_grid_60")])
def test_parity_with_the_authors_code(shared_data: Path, resolution: int, name: str) -> None:
    reference = np.load(shared_data / "parity" / "parity.npz")
    K = reference["K"]
    camera = PinholeCamera(640, 480, K[0, 0], K[1, 1], K[0, 2], K[1, 2])
    view = DepthView(reference["depth"], camera, RigidTransform.from_matrix(reference["extrinsic"]))
    np.testing.assert_allclose(fuse([view], resolution).value, reference[name][0], atol=1e-5)
