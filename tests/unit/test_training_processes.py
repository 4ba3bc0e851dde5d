"""Several processes train one network as one process does: real processes, joined by gloo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from synthetic_scenes import box_scene

from giga_bringup.command_line import main as giga
from giga_perception.dataset import DatasetWriter
from giga_perception.weights import load_model

# Five scenes a batch: the shares of two processes are unequal.
RECIPE = ["--steps", "2", "--batch", "5", "--occupancy-points", "64", "--learning-rate", "1e-3"]
EXACT = ["--average", "0", "--warm-up", "0", "--precision", "float32", "--threads", "1", "--seed", "3"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture(scope="module")
def box_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "boxes"
    writer = DatasetWriter(folder, {"generator": "boxes"})
    for seed in range(6):
        writer.write(box_scene(seed))
    writer.write(box_scene(9, split="val"))
    return folder


def trained_by_two(data: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    paths = [path for path in sys.path if path]
    return subprocess.run(
        [*TORCHRUN, "-m", "giga_bringup", "train", str(data), "--out", str(out), *RECIPE, *EXACT, *more],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.timeout(300)
def test_two_processes_train_what_one_does(box_data: Path, tmp_path: Path) -> None:
    together = trained_by_two(box_data, tmp_path / "two")
    assert together.returncode == 0, together.stderr
    assert together.stdout.count("shared by 2 processes") == 1
    assert together.stdout.count("step 2/2") == 1
    assert giga(["train", str(box_data), "--out", str(tmp_path / "one"), *RECIPE, *EXACT]) == 0
    one, two = (load_model(tmp_path / name / "giga.safetensors")[0].state_dict() for name in ("one", "two"))
    for name, value in one.items():
        # Adam divides by the gradient's size, so where it is next to nothing the order of sums is felt.
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=2e-5, msg=name)
    torch.manual_seed(3)
    moved = max(float((value - two[name]).abs().max()) for name, value in fresh().items())
    assert moved > 1e-3


def fresh() -> dict[str, torch.Tensor]:
    from giga_perception.model_family import new_network

    return new_network("giga").state_dict()


@pytest.mark.timeout(300)
def test_more_processes_than_scenes_in_a_batch_are_refused(box_data: Path, tmp_path: Path) -> None:
    answer = trained_by_two(box_data, tmp_path / "two", "--batch", "1")
    assert answer.returncode != 0
    assert "2 processes cannot share batches of 1 scenes" in answer.stderr
