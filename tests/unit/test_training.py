"""Training: exact shortcuts, what is learnt, and runs that go on as if nothing had interrupted them."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from synthetic_scenes import box_scene

from giga_bringup.command_line import main as giga
from giga_perception import sparse_stem
from giga_perception.augmentation import AUGMENTATIONS
from giga_perception.camera import DepthView
from giga_perception.dataset import DatasetError, DatasetWriter, occupancy_points_m
from giga_perception.depth_noise import add_depth_noise
from giga_perception.model_family import new_network
from giga_perception.model_kinds import MODEL_KINDS
from giga_perception.network import Giga
from giga_perception.projective_tsdf import projective_fusion
from giga_perception.training import CHECKPOINT_FILE, LOG_FILE, TrainingScenes, read_log, train
from giga_perception.training_balance import balancing_weights
from giga_perception.training_batches import BatchSettings, compact_scene, make_batch
from giga_perception.training_recipe import TrainingRecipe
from giga_perception.training_run import TrainingError, predict
from giga_perception.training_scenes import load_scenes
from giga_perception.tsdf import fuse
from giga_perception.weights import load_model, save_model


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def scenes(count: int, validation: int = 0) -> TrainingScenes:
    compact = [compact_scene(box_scene(seed)) for seed in range(count + validation)]
    return TrainingScenes(
        names=tuple(f"boxes/{seed}" for seed in range(count + validation)),
        train=tuple(compact[:count]),
        validation=tuple(compact[count:]),
    )


def tiny_recipe(**changes: object) -> TrainingRecipe:
    recipe = TrainingRecipe(steps=6, batch=2, occupancy_points=64, warm_up_steps=2, average=0.5)
    return dataclasses.replace(recipe, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(160, 120), (640, 480)])
def test_the_quick_fusion_equals_open3d(size: tuple[int, int]) -> None:
    factor = size[0] / 160
    camera = box_scene(0).camera
    camera = dataclasses.replace(
        camera, width=size[0], height=size[1], **{k: getattr(camera, k) * factor for k in ("fx", "fy", "cx", "cy")}
    )
    scene = box_scene(0, camera=camera)
    noisy = add_depth_noise(scene.depth_m, np.random.default_rng(0))
    noisy[100:110] = 0.0
    fusion = projective_fusion(scene.camera, scene.T_camera_workspace)
    expected = fuse([DepthView(noisy, scene.camera, scene.T_camera_workspace)]).value
    difference = np.abs(fusion.fuse_value(fusion.crop(noisy)) - expected)
    # Which of two pixels a voxel on their border takes may hang on the compiler's rounding.
    assert np.mean(difference > 1e-5) < 1e-4
    assert np.mean(expected > 0) > 0.03


def test_the_sparse_stem_equals_the_dense_one_in_values_and_gradients() -> None:
    torch.manual_seed(0)
    model = Giga()
    settings = BatchSettings(grasps=8, occupancy_points=16, symmetries=AUGMENTATIONS["turn"])
    tsdf = make_batch(scenes(2).train, [np.random.default_rng(i) for i in range(2)], settings).tsdf
    # Not empty at the border, where padding matters.
    tsdf[0, 0, 5, 39] = 0.7
    results = []
    for encode in (model.encode, lambda grid: sparse_stem.encode(model, grid)):
        model.zero_grad()
        planes = encode(tsdf)
        (planes * torch.linspace(-1, 1, planes.numel()).view_as(planes)).sum().backward()
        stem = model.encoder.conv_in
        assert stem.weight.grad is not None
        assert stem.bias.grad is not None
        results.append((planes.detach(), stem.weight.grad.clone(), stem.bias.grad.clone()))
    for dense, sparse in zip(*results, strict=True):
        torch.testing.assert_close(sparse, dense, rtol=1e-3, atol=1e-3 * float(dense.abs().max()))


@pytest.mark.parametrize("kind", MODEL_KINDS)
def test_prediction_in_training_is_that_of_the_network(kind: str) -> None:
    torch.manual_seed(1)
    model = new_network(kind)
    settings = BatchSettings(grasps=8, occupancy_points=16)
    batch = make_batch(scenes(2).train, [np.random.default_rng(i) for i in range(2)], settings)
    expected = model(batch.tsdf, batch.grasp_points, batch.occupancy_points)
    found = predict(model, batch, bfloat16=False)
    for ours, theirs in ((found, expected), (found.grasps, expected.grasps)):
        for name, value in vars(theirs).items() if theirs is not None else ():
            if isinstance(value, torch.Tensor):
                torch.testing.assert_close(getattr(ours, name), value, rtol=1e-4, atol=1e-5)
            else:
                assert (getattr(ours, name) is None) == (value is None)


def test_batches_hold_the_labels_of_their_scenes() -> None:
    scene = box_scene(7)
    settings = BatchSettings(grasps=40, occupancy_points=500, noise=False, positive_weight=3.0)
    batch = make_batch([compact_scene(scene)], [np.random.default_rng(0)], settings)
    count = len(scene.successes)
    np.testing.assert_allclose((batch.grasp_points[0, :count].numpy() + 0.5) * 0.3, scene.centres_m, atol=1e-6)
    np.testing.assert_array_equal(batch.targets.successes[0, :count].numpy() > 0, scene.successes)
    np.testing.assert_array_equal(batch.targets.weights[0].numpy() > 0, np.arange(40) < count)
    np.testing.assert_allclose(batch.targets.weights[0, :count].numpy(), np.where(scene.successes, 3.0, 1.0))
    distance_m, index = cKDTree(occupancy_points_m()).query((batch.occupancy_points[0].numpy() + 0.5) * 0.3)
    assert distance_m.max() < 1e-6
    np.testing.assert_array_equal(batch.targets.occupancy[0].numpy() > 0, scene.occupancy[index])
    assert scene.occupancy[index].mean() > 1.5 * scene.occupancy.mean()


def test_noise_and_symmetry_are_drawn_afresh_and_repeatably() -> None:
    some = scenes(1).train
    settings = BatchSettings(grasps=8, occupancy_points=16, symmetries=AUGMENTATIONS["mirror"])
    first, again, other = (make_batch(some, [np.random.default_rng(seed)], settings).tsdf for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_both_kinds_of_label_weigh_the_same() -> None:
    some = scenes(5).train
    positive, negative = balancing_weights(some)
    held = sum(int(scene.successes.sum()) for scene in some)
    total = sum(len(scene.successes) for scene in some)
    assert positive * held == pytest.approx(negative * (total - held))
    assert positive * held + negative * (total - held) == pytest.approx(total)


@pytest.mark.timeout(120)
def test_a_few_scenes_are_learnt_by_heart(tmp_path: Path) -> None:
    recipe = TrainingRecipe(
        steps=80, batch=2, learning_rate=2e-3, warm_up_steps=10, occupancy_points=128, augmentation="none", average=0.9
    )
    train(scenes(2), recipe, tmp_path, report_every=10)
    log = read_log(tmp_path)
    assert log[-1]["quality"] < 0.6 * log[0]["quality"]
    assert log[-1]["total"] < 0.4 * log[0]["total"]


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    some = scenes(3, validation=1)
    straight = train(some, tiny_recipe(), tmp_path / "straight")
    part = train(some, tiny_recipe(), tmp_path / "broken", stop_after=4)
    resumed = train(some, tiny_recipe(), tmp_path / "broken")
    for name, value in straight.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    assert straight.figures == resumed.figures
    assert (part.steps, resumed.steps) == (4, 6)
    assert 0 < part.seconds < resumed.seconds
    assert read_log(tmp_path / "broken")[-1]["step"] == 6


def test_a_run_of_constant_rate_may_be_made_longer(tmp_path: Path) -> None:
    some = scenes(2)
    straight = train(some, tiny_recipe(steps=4, schedule="constant"), tmp_path / "straight").model
    train(some, tiny_recipe(steps=2, schedule="constant"), tmp_path / "longer")
    longer = train(some, tiny_recipe(steps=4, schedule="constant"), tmp_path / "longer").model
    assert torch.equal(straight.encoder.conv_in.weight, longer.encoder.conv_in.weight)
    train(some, tiny_recipe(steps=2), tmp_path / "falling")
    with pytest.raises(TrainingError, match="steps"):
        train(some, tiny_recipe(steps=4), tmp_path / "falling")


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    some = scenes(2, validation=1)
    first = train(some, tiny_recipe(), tmp_path)
    size = (tmp_path / LOG_FILE).stat().st_size
    again = train(some, tiny_recipe(), tmp_path)
    assert (tmp_path / LOG_FILE).stat().st_size == size
    assert (first.figures, first.steps, first.seconds) == (again.figures, again.steps, again.seconds)
    assert torch.equal(first.model.encoder.conv_in.weight, again.model.encoder.conv_in.weight)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_seed_decides_the_weights(threads: int, tmp_path: Path) -> None:
    torch.set_num_threads(threads)
    some = scenes(2)
    first, same, other = (
        train(some, tiny_recipe(steps=3, seed=seed), tmp_path / name).model.state_dict()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    for name, value in first.items():
        assert torch.equal(value, same[name]), name
    assert not torch.equal(first["encoder.conv_in.weight"], other["encoder.conv_in.weight"])


def test_a_checkpoint_of_something_else_is_named(tmp_path: Path) -> None:
    train(scenes(2), tiny_recipe(steps=2), tmp_path)
    with pytest.raises(TrainingError, match=r"checkpoint\.pt belongs to a run with another recipe \(learning_rate\)"):
        train(scenes(2), tiny_recipe(steps=2, learning_rate=0.1), tmp_path)
    with pytest.raises(TrainingError, match="on 2 scenes, not on these 3"):
        train(scenes(3), tiny_recipe(steps=2), tmp_path)
    (tmp_path / CHECKPOINT_FILE).write_bytes(b"half a file")
    with pytest.raises(TrainingError, match=r"checkpoint\.pt is damaged"):
        train(scenes(2), tiny_recipe(steps=2), tmp_path)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    some = scenes(2)
    broken = dataclasses.replace(some.train[0], widths_m=np.full_like(some.train[0].widths_m, np.inf))
    with pytest.raises(TrainingError, match="no longer finite"):
        train(dataclasses.replace(some, train=(broken, broken)), tiny_recipe(), tmp_path)


def test_the_rate_warms_up_and_falls() -> None:
    recipe = TrainingRecipe(steps=1000, warm_up_steps=10)
    rates = [recipe.rate(step) for step in range(1000)]
    assert rates[0] < 0.2 * recipe.learning_rate
    assert max(rates) == pytest.approx(recipe.learning_rate, rel=1e-2)
    assert rates[-1] < 0.02 * recipe.learning_rate
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[10:]))


@pytest.fixture
def box_data(tmp_path: Path) -> Path:
    folder = tmp_path / "boxes"
    writer = DatasetWriter(folder, {"generator": "boxes"})
    for seed in range(4):
        writer.write(box_scene(seed))
    writer.write(box_scene(9, split="val"))
    return folder


def test_held_out_scenes_are_those_marked(box_data: Path) -> None:
    selection = load_scenes([box_data])
    assert len(selection.scenes.train) == 4
    assert len(selection.scenes.validation) == 1
    assert selection.objects_held_out
    assert selection.labelled_points == 150


def test_a_run_goes_on_with_the_scenes_it_began_with(box_data: Path) -> None:
    names = load_scenes([box_data]).scenes.names
    DatasetWriter(box_data, {}).write(box_scene(20))
    assert load_scenes([box_data], names=names).scenes.names == names
    assert len(load_scenes([box_data]).scenes.names) == len(names) + 1
    (box_data / "pile_00000002.npz").unlink()
    with pytest.raises(DatasetError, match=r"boxes/pile_00000002\.npz"):
        load_scenes([box_data], names=names)


def test_giga_train_leaves_a_model_that_says_what_it_is(box_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    argv = [
        "train",
        str(box_data),
        "--name",
        "tiny",
        "--out",
        str(out),
        "--steps",
        "2",
        "--batch",
        "2",
        "--threads",
        "1",
    ]
    assert giga(argv) == 0
    _, card = load_model(out / "tiny.safetensors")
    assert card["name"] == "tiny"
    assert json.loads(card["scenes"])["training"] == 4
    assert json.loads(card["validation"])["scenes"] == 1
    assert json.loads(card["data"])["boxes"]["generator"] == "boxes"
    page = (out / "tiny.md").read_text()
    assert "objects that training never saw" in page
    assert str(tmp_path) not in page
    assert (out / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_giga_train_names_what_is_wrong(box_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert giga(["train", str(tmp_path / "nowhere"), "--out", str(tmp_path / "run")]) == 2
    assert "holds no data set" in capsys.readouterr().err
    (box_data / "pile_00000001.npz").write_bytes(b"half")
    assert giga(["train", str(box_data), "--out", str(tmp_path / "run")]) == 2
    assert "pile_00000001.npz is damaged" in capsys.readouterr().err


def test_giga_data_counts_and_checks(box_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert giga(["data", "check", str(box_data)]) == 0
    assert "5 scenes" in capsys.readouterr().out
    (box_data / "pile_00000001.npz").write_bytes(b"half")
    assert giga(["data", "check", str(box_data)]) == 1
    captured = capsys.readouterr()
    assert "pile_00000001.npz is damaged" in captured.err
    assert "1 damaged" in captured.out
    assert giga(["data", "info", str(box_data / "nowhere")]) == 2


def test_a_run_can_start_from_earlier_weights(box_data: Path, tmp_path: Path) -> None:
    short = ["--steps", "1", "--batch", "1", "--threads", "1", "--learning-rate", "1e-9"]
    first, second = tmp_path / "first", tmp_path / "second"
    assert giga(["train", str(box_data), "--out", str(first), "--seed", "5", *short]) == 0
    begun_with = first / "giga.safetensors"
    assert giga(["train", str(box_data), "--out", str(second), "--init", str(begun_with), *short]) == 0
    weights = [load_model(path / "giga.safetensors")[0].encoder.conv_in.weight for path in (first, second)]
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=1e-6)
    assert "began with the weights of the model giga" in (second / "giga.md").read_text()
    assert giga(["train", str(box_data), "--out", str(second / "x"), "--init", str(tmp_path / "none.safetensors")]) == 2


def test_a_card_tells_of_ancestors_that_say_little(box_data: Path, tmp_path: Path) -> None:
    imported = tmp_path / "imported.safetensors"
    save_model(imported, Giga(), {"name": "foreign", "source": "imported from foreign.pt"})
    short = ["--steps", "1", "--batch", "1", "--threads", "1"]
    assert giga(["train", str(box_data), "--out", str(tmp_path / "run"), "--init", str(imported), *short]) == 0
    page = (tmp_path / "run" / "giga.md").read_text()
    assert "began with the weights of the model foreign (imported from foreign.pt)." in page
