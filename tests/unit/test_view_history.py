"""Which views of a moving camera are kept."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from giga_perception.view_history import PlacedItem, ViewHistory

SECOND_NS = 10**9


def seen(name: str, stamp_s: float, x_m: float = 0.0, turned_deg: float = 0.0) -> PlacedItem[str]:
    T_workspace_camera = RigidTransform.from_components(
        [x_m, 0.0, 0.5], Rotation.from_euler("z", turned_deg, degrees=True)
    )
    return PlacedItem(name, round(stamp_s * SECOND_NS), T_workspace_camera.inv())


def names(history: ViewHistory[str], window_s: float, newest_s: float) -> str:
    return "".join(view.item for view in history.within(window_s, round(newest_s * SECOND_NS)))


def filled(*views: PlacedItem[str], most: int = 8) -> ViewHistory[str]:
    history: ViewHistory[str] = ViewHistory()
    for view in views:
        history.add(view, most)
    return history


def test_a_resting_camera_keeps_its_newest_view_only() -> None:
    assert names(filled(*(seen(name, k) for k, name in enumerate("abc"))), 100.0, 2.0) == "c"


def test_a_moving_camera_keeps_a_view_for_each_step_however_slowly_it_moves() -> None:
    history = filled(*(seen(chr(ord("a") + k), k, x_m=0.005 * k) for k in range(13)))
    kept = names(history, 100.0, 12.0)
    assert kept[0] == "a"
    assert kept[-1] == "m"
    positions = [0.005 * (ord(name) - ord("a")) for name in kept]
    assert np.diff(positions).min() >= 0.02 - 1e-9
    assert np.diff(positions).max() <= 0.04


def test_turning_is_moving() -> None:
    assert names(filled(seen("a", 0), seen("b", 1, turned_deg=10.0)), 100.0, 1.0) == "ab"


def test_a_later_view_from_the_same_place_supersedes_the_earlier() -> None:
    history = filled(seen("a", 0), seen("b", 1, x_m=0.1), seen("c", 2, x_m=0.2), seen("d", 3, x_m=0.1))
    assert names(history, 100.0, 3.0) == "acd"
    history.add(seen("e", 4), 8)
    assert names(history, 100.0, 4.0) == "cde"


def test_only_the_window_and_the_newest_few_are_kept() -> None:
    views = [seen(name, k, x_m=0.1 * k) for k, name in enumerate("abcdef")]
    assert names(filled(*views), 2.0, 5.0) == "def"
    assert names(filled(*views), 2.0, 100.0) == ""
    assert names(filled(*views, most=4), 100.0, 5.0) == "cdef"
    assert names(filled(*views, most=1), 100.0, 5.0) == "f"


def test_a_view_that_comes_late_is_left_and_one_of_equal_stamp_replaces() -> None:
    history = filled(seen("a", 0), seen("b", 2, x_m=0.1), seen("c", 1, x_m=0.2))
    assert names(history, 100.0, 2.0) == "ab"
    history.add(seen("d", 2, x_m=0.3), 8)
    assert names(history, 100.0, 2.0) == "ad"


def test_nothing_is_left_after_clear() -> None:
    history = filled(seen("a", 0), seen("b", 2, x_m=0.1))
    history.clear()
    assert names(history, 100.0, 2.0) == ""
    history.add(seen("c", 1), 8)
    assert names(history, 100.0, 1.0) == "c"
