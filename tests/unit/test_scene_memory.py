"""What is kept between requests, and the boxes that requests ask about."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform, Rotation
from table_scene import BOXES, made_model, table_view

from giga_perception.camera import DepthView
from giga_perception.detection import Detection, GraspDetector
from giga_perception.observed_scene import ObservedScene
from giga_perception.oriented_box import OrientedBox
from giga_perception.perception_parameters import TABLE, perception_parameters, problem_with
from giga_perception.scene_memory import DetectionSettings, RobotInTheWayError, SceneMemory


class CountingDetector(GraspDetector):
    """Counts detections in all copies of itself."""

    runs: list[float] = []  # noqa: RUF012

    def detect(self, views) -> Detection:
        self.runs.append(self.threshold)
        return super().detect(views)


@pytest.fixture
def detector(monkeypatch) -> CountingDetector:
    monkeypatch.setattr(CountingDetector, "runs", [])
    return CountingDetector(made_model(), threshold=0.01)


LENIENT = DetectionSettings(quality_threshold=0.01)


def scene_of(*views: DepthView, **more) -> ObservedScene:
    return ObservedScene(views, 0, **more)


def test_the_same_scene_is_looked_at_once(detector: CountingDetector) -> None:
    memory, view = SceneMemory(detector), table_view()
    first, was_new = memory.detection(scene_of(view), LENIENT)
    again, is_new = memory.detection(scene_of(replace(view, depth_m=view.depth_m.copy())), LENIENT)
    assert (was_new, is_new) == (True, False)
    assert again is first
    mesh, mesh_is_new = memory.mesh(scene_of(view), LENIENT, 16, 1000)
    assert mesh_is_new
    assert memory.mesh(scene_of(view), LENIENT, 16, 1000) == (mesh, False)
    assert detector.runs == [0.01]


def test_another_image_pose_or_setting_is_looked_at_anew(detector: CountingDetector) -> None:
    memory, view = SceneMemory(detector), table_view()
    memory.detection(scene_of(view), LENIENT)
    assert memory.detection(scene_of(table_view(BOXES[:1])), LENIENT)[1]
    moved = replace(view, T_camera_workspace=RigidTransform.from_translation([0.01, 0, 0]) * view.T_camera_workspace)
    assert memory.detection(scene_of(moved), LENIENT)[1]
    assert memory.detection(scene_of(moved, view), LENIENT)[1]
    strict, is_new = memory.detection(scene_of(moved, view), replace(LENIENT, quality_threshold=0.9))
    assert is_new
    assert strict.report.quality_threshold == 0.9
    finer, is_new = memory.detection(scene_of(moved, view), replace(LENIENT, resolution=50))
    assert is_new
    assert finer.quality.shape == (50, 50, 50)
    assert (detector.threshold, detector.resolution) == (0.01, 40)


def test_only_the_last_few_answers_are_kept(detector: CountingDetector) -> None:
    memory, scene = SceneMemory(detector), scene_of(table_view())
    settings = [replace(LENIENT, quality_threshold=0.01 * k) for k in range(1, 12)]
    for each in settings:
        assert memory.detection(scene, each)[1]
    assert not memory.detection(scene, settings[-1])[1]
    assert memory.detection(scene, settings[0])[1]


def test_what_the_robot_hides_is_not_guessed(detector: CountingDetector) -> None:
    memory, view = SceneMemory(detector), table_view()
    seen, _ = memory.detection(scene_of(view, hidden_by_robot=0.2), LENIENT)
    assert seen.grasps
    assert seen.report.hidden_by_robot == 0.2
    hidden, _ = memory.detection(scene_of(view, hidden_by_robot=0.25), LENIENT)
    assert hidden.grasps == ()
    assert hidden.report.hidden_by_robot == 0.25
    assert hidden.report.voxels_observed == seen.report.voxels_observed
    assert "the robot hides 25%" in hidden.report.message
    with pytest.raises(RobotInTheWayError, match="25%"):
        memory.mesh(scene_of(view, hidden_by_robot=0.25), LENIENT, 16, 1000)
    assert len(detector.runs) == 1


def test_a_camera_that_sees_nothing_is_told_in_the_report(detector: CountingDetector) -> None:
    detection, _ = SceneMemory(detector).detection(scene_of(table_view(), remarks=("it looks away",)), LENIENT)
    assert detection.grasps
    assert detection.report.message == "it looks away"


def test_many_callers_share_one_computation(detector: CountingDetector) -> None:
    memory, scene = SceneMemory(detector), scene_of(table_view())
    answers: list[Detection] = []
    threads = [threading.Thread(target=lambda: answers.append(memory.detection(scene, LENIENT)[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(answer is answers[0] for answer in answers)
    assert len(detector.runs) == 1


def test_a_box_is_turned_with_its_pose() -> None:
    turned = RigidTransform.from_components([0.1, 0.1, 0.1], Rotation.from_euler("z", 90, degrees=True))
    box = OrientedBox(turned, np.array([0.2, 0.02, 0.02]))
    np.testing.assert_array_equal(
        box.contains([[0.1, 0.1, 0.1], [0.1, 0.19, 0.1], [0.19, 0.1, 0.1], [0.1, 0.1, 0.12]]),
        [True, True, False, False],
    )


@pytest.mark.parametrize("size", [[0.1, 0.0, 0.1], [0.1, -0.1, 0.1], [np.nan, 0.1, 0.1]])
def test_a_box_needs_sides(size: list[float]) -> None:
    with pytest.raises(ValueError, match="sides"):
        OrientedBox(RigidTransform.identity(), np.array(size))


def test_every_parameter_of_the_table_has_a_place_and_a_default_within_its_range() -> None:
    values = perception_parameters({"quality_threshold": 0.7})
    assert values.quality_threshold == 0.7
    assert values.workspace_frame == "workspace"
    for row in TABLE:
        assert row.text
        if row.low is not None and row.high is not None:
            assert row.low <= row.default <= row.high
        if row.choices:
            assert row.default in row.choices
    assert not problem_with({})
    with pytest.raises(TypeError):
        perception_parameters({"colour": "green"})
