"""The benchmark of training counts what each way learns from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from synthetic_scenes import box_scene

from giga_bringup.command_line import main as giga
from giga_perception.training_batches import compact_scene
from giga_perception.training_recipe import TrainingRecipe
from giga_perception.training_speed import measure_ways


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_every_way_is_measured_on_what_it_learns_from() -> None:
    scenes = [compact_scene(box_scene(seed)) for seed in range(3)]
    told: list[int] = []
    recipe = TrainingRecipe(steps=2, batch=4, occupancy_points=64)
    one, dropped, weighed = measure_ways(scenes, recipe, told.append)
    assert told == [1, 2]
    assert (one.supervised_grasps, one.grasps_per_scene) == (4, 1)
    assert weighed.supervised_grasps == 4 * 30
    assert 4 < dropped.supervised_grasps < weighed.supervised_grasps
    for way in (one, dropped, weighed):
        assert way.occupancy_points == 4 * 64
        assert way.grasps_a_cpu_s == pytest.approx(way.supervised_grasps / way.cpu_s)
        assert way.points_a_wall_s == pytest.approx(4 * 64 / way.wall_s)


def test_the_benchmark_wants_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert giga(["benchmark", "training", "--data", str(tmp_path)]) == 2
    assert "holds no data set" in capsys.readouterr().err
