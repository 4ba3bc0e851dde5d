"""How much is done to find good grasps: the network alone, a second look at its candidates, or all that helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True)
class DetectionMode:
    """averaging: the images of the scene that the network is asked about, a name of `augmentation.AUGMENTATIONS`.

    second_look: a judge looks at each candidate (`grasp_judge`). refine: it also chooses among shifted and turned ones.
    faces_cameras: the scene is turned until the cameras stand where training had them (`camera_side`).
    levels_table: the camera's scale error is taken out first (`table_levelling`).
    several_rotations: it also chooses among the orientations of the points around each centre (`neighbour_rotations`).
    """

    averaging: str = "none"
    second_look: bool = False
    refine: bool = False
    several_rotations: bool = False
    faces_cameras: bool = False
    levels_table: bool = False


LEVERS = tuple(field.name for field in fields(DetectionMode) if field.name != "averaging")
"""What a mode switches on or off."""

MODES = {
    "plain": DetectionMode(),
    "fast": DetectionMode(second_look=True, several_rotations=True, faces_cameras=True, levels_table=True),
    "careful": DetectionMode(
        averaging="mirror",
        second_look=True,
        refine=True,
        several_rotations=True,
        faces_cameras=True,
        levels_table=True,
    ),
}
MODE_NAMES = ("auto", *MODES)


def mode_named(name: str | DetectionMode, *, has_judge: bool) -> DetectionMode:
    """The mode of this name, or a mode as it is; "auto" is "fast" where the model has a judge, else "plain".

    Raises ValueError for an unknown name.
    """
    if isinstance(name, DetectionMode):
        return name
    if name == "auto":
        return MODES["fast" if has_judge else "plain"]
    if name not in MODES:
        raise ValueError(f"mode '{name}' is unknown: say one of {', '.join(MODE_NAMES)}")
    return MODES[name]


def with_levers(mode: DetectionMode, *, on: Sequence[str] = (), off: Sequence[str] = ()) -> DetectionMode:
    """The mode with these LEVERS switched on, and those off. Raises ValueError for a name that is no lever."""
    for name in (*on, *off):
        if name not in LEVERS:
            raise ValueError(f"'{name}' is nothing that a mode switches: say one of {', '.join(LEVERS)}")
    changes: dict[str, Any] = {**dict.fromkeys(on, True), **dict.fromkeys(off, False)}
    return replace(mode, **changes)
