"""The second look: what it sees from the hand, what it learns, and that detection believes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from made_scenes import LOW_BOX, TALL_BOX, rendered
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception import Giga, Grasp, GraspDetector, ModelFileError, Vgn, save_model
from giga_perception.detection_mode import MODE_NAMES, mode_named
from giga_perception.grasp_judge import (
    PATCH_POINTS_M,
    PATCH_SHAPE,
    GraspJudge,
    JudgeInput,
    SecondLook,
    judge_input,
    success_probability,
    variants,
)
from giga_perception.judge_file import judge_path, load_judge, save_judge
from giga_perception.judge_training import train_judge

DOWN = Rotation.from_euler("x", 180.0, degrees=True)


class Box:
    """A scene with one occupied box, 42 mm wide, in the middle of the cube."""

    def occupancy(self, points: np.ndarray) -> np.ndarray:
        return np.all(np.abs(points * 0.3) < 0.021, axis=-1).astype(np.float32)


def poses(*centres_m: tuple[float, float, float]) -> RigidTransform:
    return RigidTransform.from_components(np.array(centres_m), Rotation.concatenate([DOWN] * len(centres_m)))


def seen(*centres_m: tuple[float, float, float]) -> JudgeInput:
    count = len(centres_m)
    return judge_input(Box(), poses(*centres_m), np.full(count, 0.04, np.float32), np.full(count, 0.8, np.float32))


def patterned_judge() -> GraspJudge:
    torch.manual_seed(1)
    return GraspJudge().eval()


def test_the_patch_is_the_shape_in_the_hands_frame() -> None:
    centred = seen((0.15, 0.15, 0.15)).patches[0]
    expected = np.all(np.abs(PATCH_POINTS_M) < 0.021, axis=-1).reshape(PATCH_SHAPE)
    np.testing.assert_allclose(centred, expected, atol=1e-6)
    # The hand points down and 1 cm to the right of the box along its own y, which is the workspace's -y.
    shifted = seen((0.15, 0.14, 0.15)).patches[0]
    middle = np.argwhere(shifted.max(axis=(0, 2)) > 0.5).mean()
    assert PATCH_POINTS_M.reshape(*PATCH_SHAPE, 3)[0, round(middle), 0, 1] == pytest.approx(-0.01, abs=0.003)


def test_points_outside_the_cube_are_free() -> None:
    class Full:
        def occupancy(self, points: np.ndarray) -> np.ndarray:
            assert np.all(np.abs(points) <= 0.5)
            return np.ones(len(points), dtype=np.float32)

    patch = judge_input(Full(), poses((0.0, 0.15, 0.15)), np.float32([0.04]), np.float32([0.8])).patches[0]
    assert 0.0 < patch.mean() < 1.0


def test_a_grasp_and_the_same_turned_by_half_a_turn_are_judged_alike() -> None:
    there = RigidTransform.from_components([[0.15, 0.14, 0.15]], Rotation.concatenate([DOWN]))
    turned = there * RigidTransform.from_rotation(Rotation.from_euler("z", 180.0, degrees=True))
    judge, one = patterned_judge(), np.float32([0.04])
    first, second = (judge_input(Box(), pose, one, np.float32([0.8])) for pose in (there, turned))
    # Turning swaps both sides of x too, across which this box looks the same.
    np.testing.assert_allclose(success_probability(judge, first), success_probability(judge, second), atol=1e-6)
    assert np.abs(first.patches - second.patches).max() > 0.5


def test_the_grasp_itself_is_its_first_variant() -> None:
    pose = RigidTransform.from_components([0.1, 0.2, 0.15], DOWN)
    around = variants(pose)
    np.testing.assert_allclose(around[0].as_matrix(), pose.as_matrix())
    distances_m = np.linalg.norm(around.translation - pose.translation, axis=1)
    assert len(around) > 10
    assert 0.01 < distances_m.max() < 0.03


def example_trials(count: int) -> tuple[JudgeInput, np.ndarray, np.ndarray]:
    """Hands beside the box at random; those within 1 cm of its middle hold. Qualities mean nothing."""
    rng = np.random.default_rng(2)
    centres_m = 0.15 + np.column_stack([np.zeros(count), rng.uniform(-0.03, 0.03, count), np.zeros(count)])
    stacked = RigidTransform.from_components(centres_m, Rotation.concatenate([DOWN] * count))
    what = judge_input(
        Box(), stacked, np.full(count, 0.04, np.float32), rng.uniform(0.3, 0.9, count).astype(np.float32)
    )
    return what, np.abs(centres_m[:, 1] - 0.15) < 0.01, np.arange(count) // 4


def test_it_learns_what_holds_where_the_quality_says_nothing() -> None:
    torch.set_num_threads(1)
    what, successes, scenes = example_trials(400)
    judge, figures = train_judge(what, successes, scenes)
    assert figures.quality_auc < 0.75 < 0.95 < figures.judge_auc
    assert figures.judge_first_choice >= figures.quality_first_choice
    near, far = success_probability(judge, seen((0.15, 0.15, 0.15), (0.15, 0.175, 0.15)))
    assert near > 0.7 > 0.3 > far


def test_a_second_look_ranks_anew_and_refining_moves_to_the_better_place() -> None:
    torch.set_num_threads(1)
    judge, _ = train_judge(*example_trials(400))
    off = Grasp(RigidTransform.from_components([0.15, 0.163, 0.15], DOWN), 0.04, 0.9)
    on = Grasp(RigidTransform.from_components([0.15, 0.15, 0.15], DOWN), 0.04, 0.5)
    plain = SecondLook(judge)(Box(), (off, on))
    assert [grasp.T_workspace_tcp.translation[1] for grasp in plain] == [0.15, 0.163]
    assert plain[0].quality > plain[1].quality
    (refined,) = SecondLook(judge, refine=True)(Box(), (off,))
    assert refined.quality > plain[1].quality
    assert abs(refined.T_workspace_tcp.translation[1] - 0.15) < 0.01
    assert SecondLook(judge)(Box(), ()) == ()


def test_a_network_without_geometry_cannot_be_looked_at_twice() -> None:
    detector = GraspDetector(Vgn(), threshold=0.0, second_look=SecondLook(patterned_judge()))
    with pytest.raises(ValueError, match="predicts geometry"):
        detector.detect([rendered([TALL_BOX])])


def test_the_mode_decides_whether_the_judge_is_asked(tmp_path: Path) -> None:
    model_file, model = tmp_path / "model.safetensors", Giga()
    save_model(model_file, model, {"name": "random"})
    view = rendered([TALL_BOX, LOW_BOX])
    assert GraspDetector.from_file(model_file).second_look is None
    with pytest.raises(ModelFileError, match="does not exist"):
        GraspDetector.from_file(model_file, mode="fast")
    save_judge(judge_path(model_file), patterned_judge(), model, {"trials": "0"})
    assert GraspDetector.from_file(model_file, mode="plain").second_look is None
    fast, careful = (GraspDetector.from_file(model_file, mode=mode, threshold=0.0) for mode in ("auto", "careful"))
    assert fast.second_look is not None
    assert not fast.second_look.refine
    assert careful.second_look is not None
    assert careful.second_look.refine
    for detector in (fast, careful):
        detection = detector.detect([view])
        assert detection.report.best_quality == max((grasp.quality for grasp in detection.grasps), default=0.0)
        assert [grasp.quality for grasp in detection.grasps] == sorted(
            (grasp.quality for grasp in detection.grasps), reverse=True
        )
    with pytest.raises(ValueError, match=", ".join(MODE_NAMES)):
        mode_named("hasty", has_judge=True)


def test_files_that_are_no_judge_of_this_model_are_refused(tmp_path: Path) -> None:
    judge, model, path = patterned_judge(), Giga(), tmp_path / "a.judge.safetensors"
    save_judge(path, judge, model, {})
    again = load_judge(path, model)
    assert all(torch.equal(again.state_dict()[name], value) for name, value in judge.state_dict().items())
    with pytest.raises(ModelFileError, match="another model"):
        load_judge(path, Giga())
    with safe_open(path, framework="pt") as file:
        header, state = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for change, words in (
        ({**header, "format_version": "9"}, "format 9"),
        ({**header, "kind": "giga"}, "is a giga"),
    ):
        save_file(state, path, metadata=change)
        with pytest.raises(ModelFileError, match=words):
            load_judge(path, model)
    save_file({**state, "out.bias": torch.tensor([float("nan")])}, path, metadata=header)
    with pytest.raises(ModelFileError, match="not finite"):
        load_judge(path, model)
    save_file({name: value for name, value in state.items() if name != "out.bias"}, path, metadata=header)
    with pytest.raises(ModelFileError, match="tensors of a judge"):
        load_judge(path, model)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelFileError, match="damaged"):
        load_judge(path, model)
