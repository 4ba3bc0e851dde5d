"""What is kept between requests, and the boxes that requests ask about."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform, Rotation
from table_scene import BOXES, made_model, table_view

from giga_perception.detection import Detection, GraspDetector
from giga_perception.oriented_box import OrientedBox
from giga_perception.perception_parameters import TABLE, perception_parameters
from giga_perception.scene_memory import SceneMemory


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


def test_the_same_view_is_looked_at_once(detector: CountingDetector) -> None:
    memory, view = SceneMemory(detector), table_view()
    first, was_new = memory.detection(view, 0.01)
    again, is_new = memory.detection(replace(view, depth_m=view.depth_m.copy()), 0.01)
    assert (was_new, is_new) == (True, False)
    assert again is first
    mesh, mesh_is_new = memory.mesh(view, 16, 1000)
    assert mesh_is_new
    assert memory.mesh(view, 16, 1000) == (mesh, False)
    assert detector.runs == [0.01]


def test_another_image_pose_or_threshold_is_looked_at_anew(detector: CountingDetector) -> None:
    memory, view = SceneMemory(detector), table_view()
    memory.detection(view, 0.01)
    assert memory.detection(table_view(BOXES[:1]), 0.01)[1]
    moved = RigidTransform.from_translation([0.01, 0.0, 0.0]) * view.T_camera_workspace
    assert memory.detection(replace(view, T_camera_workspace=moved), 0.01)[1]
    strict, is_new = memory.detection(replace(view, T_camera_workspace=moved), 0.9)
    assert is_new
    assert strict.report.quality_threshold == 0.9
    assert detector.threshold == 0.01


def test_many_callers_share_one_computation(detector: CountingDetector) -> None:
    memory, view = SceneMemory(detector), table_view()
    answers: list[Detection] = []
    threads = [threading.Thread(target=lambda: answers.append(memory.detection(view, 0.01)[0])) for _ in range(8)]
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
    with pytest.raises(TypeError):
        perception_parameters({"colour": "green"})
