"""Whether the workspace is in the image at all."""

from __future__ import annotations

import pytest
from scipy.spatial.transform import RigidTransform, Rotation
from table_scene import CAMERA, side_view_pose

from giga_perception.workspace_visibility import why_workspace_unseen


@pytest.mark.parametrize(
    ("turn_deg", "why"), [(0.0, None), (20.0, None), (80.0, "outside the image"), (180.0, "behind the camera")]
)
def test_a_camera_that_turns_away_loses_the_workspace(turn_deg: float, why: str | None) -> None:
    turn = RigidTransform.from_rotation(Rotation.from_euler("y", turn_deg, degrees=True))
    assert why_workspace_unseen(CAMERA, turn * side_view_pose()) == why


def test_a_corner_of_it_is_enough() -> None:
    # The camera hangs 1 cm above one upper corner and looks down: almost everything lies outside its image.
    down = Rotation.from_euler("x", 180, degrees=True)
    close = RigidTransform.from_components([0.0, 0.0, 0.31], down).inv()
    assert why_workspace_unseen(CAMERA, close) is None
