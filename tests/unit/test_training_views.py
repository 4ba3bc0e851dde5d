"""Views of a training sample: the side view as ever, any one, or several fused as Open3D fuses them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_scenes import box_scene

from giga_perception.augmentation import AUGMENTATIONS
from giga_perception.camera import DepthView
from giga_perception.dataset import DatasetWriter
from giga_perception.projective_tsdf import fuse_values
from giga_perception.scene_views import VIEW_CHOICES, ViewChoice
from giga_perception.stored_depth import pack_depth, unpack_depth
from giga_perception.training import TrainingScenes, train
from giga_perception.training_batches import BatchSettings, CompactScene, compact_scene, make_batch
from giga_perception.training_recipe import TrainingRecipe
from giga_perception.training_run import TrainingError
from giga_perception.training_scenes import load_scenes
from giga_perception.tsdf import fuse


@pytest.mark.parametrize("size", [(160, 120), (640, 480)])
def test_views_fused_quickly_equal_open3d(size: tuple[int, int]) -> None:
    camera = box_scene(0).camera
    factor = size[0] / camera.width
    scaled = {name: getattr(camera, name) * factor for name in ("fx", "fy", "cx", "cy")}
    camera = dataclasses.replace(camera, width=size[0], height=size[1], **scaled)
    scene = box_scene(5, camera=camera, other_views=3)
    # As stored: rounded to whole steps of depth.
    views = [
        DepthView(unpack_depth(pack_depth(view.depth_m)), camera, view.T_camera_workspace) for view in scene.other_views
    ]
    expected = fuse(views).value
    difference = np.abs(fuse_values([view.unpack() for view in compact_scene(scene).other_views]) - expected)
    assert np.mean(difference > 1e-5) < 1e-4
    assert np.mean(expected > 0) > 0.03


def settings_of(views: ViewChoice, count: int = 6) -> BatchSettings:
    return BatchSettings(grasps=4, occupancy_points=16, noise=False, views=views, views_a_sample=count)


def test_a_sample_sees_the_views_asked_for() -> None:
    scene = compact_scene(box_scene(5, other_views=3))
    alone = compact_scene(box_scene(5))

    def tsdfs(some: CompactScene, settings: BatchSettings) -> set[bytes]:
        return {make_batch([some], [np.random.default_rng(i)], settings).tsdf.numpy().tobytes() for i in range(40)}

    (side,) = tsdfs(alone, settings_of("side"))
    assert tsdfs(scene, settings_of("side")) == {side}
    every = tsdfs(scene, settings_of("any"))
    assert len(every) == 4
    assert side in every
    pairs = tsdfs(scene, settings_of("several", 2))
    assert len(pairs) >= 3  # three pairs, in either order
    assert not pairs & every
    # All three fused: the order decides roundings only.
    wholes = [np.frombuffer(value, dtype=np.float32) for value in tsdfs(scene, settings_of("several", 6))]
    assert max(float(np.abs(whole - wholes[0]).max()) for whole in wholes) < 1e-5
    for choice in VIEW_CHOICES:
        assert tsdfs(alone, settings_of(choice)) == {side}
    with pytest.raises(ValueError, match="unknown choice of views 'above'"):
        tsdfs(scene, settings_of("above"))  # type: ignore[arg-type]


def test_other_views_are_read_when_asked_for(tmp_path: Path) -> None:
    DatasetWriter(tmp_path, {}).write(box_scene(1, other_views=2))
    DatasetWriter(tmp_path, {}).write(box_scene(2))
    assert load_scenes([tmp_path]).other_views == 0
    selection = load_scenes([tmp_path], other_views=True)
    assert selection.other_views == 2
    assert [len(scene.other_views) for scene in selection.scenes.train] == [2, 0]


def test_batches_of_the_side_view_do_not_depend_on_other_views() -> None:
    settings = BatchSettings(grasps=8, occupancy_points=32, symmetries=AUGMENTATIONS["mirror"])
    with_others, without = (
        make_batch([compact_scene(box_scene(4, other_views=count))], [np.random.default_rng(3)], settings)
        for count in (2, 0)
    )
    assert torch.equal(with_others.tsdf, without.tsdf)
    assert torch.equal(with_others.occupancy_points, without.occupancy_points)
    assert torch.equal(with_others.grasp_points, without.grasp_points)


def test_a_run_learns_from_the_views_of_its_recipe(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    recipe = TrainingRecipe(steps=2, batch=2, grasps=4, occupancy_points=16, views="several", views_a_sample=2)

    def weights_after(recipe: TrainingRecipe, others: int) -> torch.Tensor:
        scenes = tuple(compact_scene(box_scene(seed, other_views=others)) for seed in (1, 2))
        run = tmp_path / f"{recipe.views}-{others}"
        result = train(TrainingScenes(("a", "b"), scenes, scenes[:1]), recipe, run)
        assert result.figures is not None
        return torch.cat([value.flatten() for value in result.model.state_dict().values()])

    several, side = (weights_after(dataclasses.replace(recipe, views=views), 3) for views in ("several", "side"))
    assert not torch.equal(several, side)
    with pytest.raises(TrainingError, match="no scene holds another view"):
        weights_after(recipe, 0)
    with pytest.raises(ValueError, match="views is 'above'"):
        dataclasses.replace(recipe, views="above")  # type: ignore[arg-type]
