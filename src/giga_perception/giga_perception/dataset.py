"""Data sets: folders of labelled scenes.

A folder holds ``dataset.json`` (written once, by whoever came first) and shards: one ``<scene>_<seed>.npz`` a scene,
about 17 KB with its side view of 640 x 480 pixels, so that little is lost with any one of them. Files are written under
a temporary name and renamed: a folder may be read while several processes add to it, and a killed writer leaves no half
scene. Every file states its own format version, so scenes with several views may join a folder that began without.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from giga_perception.labelled_scene import (
    FORMAT_NAME,
    FORMAT_VERSION,
    SCENE_KINDS,
    DatasetError,
    LabelledScene,
    check_format,
    check_scene,
    encode_scene,
    read_scene,
    read_scene_header,
)
from giga_perception.occupancy_points import occupancy_points_header, occupancy_points_m

__all__ = [
    "DatasetError",
    "DatasetWriter",
    "LabelledScene",
    "SceneDataset",
    "data_root",
    "default_dataset",
    "holds_dataset",
    "leftover_files",
    "misplaced_scene",
    "occupancy_points_m",
    "open_dataset",
    "read_dataset_header",
    "read_scene",
    "read_scene_header",
    "scene_file_name",
]

_HEADER_FILE = "dataset.json"


def scene_file_name(scene: str, seed: int) -> str:
    """The name of a scene's file in its folder."""
    return f"{scene}_{seed:08d}.npz"


def default_dataset() -> Path:
    """The folder that `giga generate` fills and `giga train` reads when they are told no other."""
    return data_root() / "first"


def data_root() -> Path:
    """The folder for data sets and runs: $GIGA_DATA, by default ~/.cache/giga. Not made here."""
    named = os.environ.get("GIGA_DATA")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "giga"


class DatasetWriter:
    """Adds scenes to a folder. Several processes may write to one folder at once."""

    def __init__(self, folder: Path | str, header: Mapping[str, Any]) -> None:
        """``header`` says what makes the scenes (generator, commit, object set, settings): anything that JSON holds.

        The folder is made when it is not there. Raises DatasetError when it holds a data set of another format.
        """
        self.folder = Path(folder)
        self._header = {**header, **occupancy_points_header()}
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"format": FORMAT_NAME, "version": FORMAT_VERSION, **self._header}, indent=2, sort_keys=True)
        temporary = self.folder / f".{_HEADER_FILE}.{os.getpid()}.tmp"
        temporary.write_text(text + "\n")
        try:
            # A link, unlike a rename, fails where the file stands already: the first writer's header stays.
            os.link(temporary, self.folder / _HEADER_FILE)
        except FileExistsError:
            read_dataset_header(self.folder)
        finally:
            temporary.unlink(missing_ok=True)

    def write(self, scene: LabelledScene) -> Path:
        """Stores one scene in place of one of the same kind and seed; returns its file. ValueError when malformed."""
        check_scene(scene)
        path = self.folder / scene_file_name(scene.scene, scene.seed)
        temporary = self.folder / f".{path.name}.{os.getpid()}.tmp"
        try:
            with temporary.open("wb") as file:
                file.write(encode_scene(scene, self._header))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        return path

    def seeds_done(self, scene: str | None = None) -> set[int]:
        """Seeds whose scenes are in the folder already, of one kind (``pile``, ``packed``) or of any."""
        return {
            int(number)
            for path in _scene_paths(self.folder)
            if (number := path.stem.rpartition("_")[2]).isdecimal()
            and (scene is None or path.name.startswith(f"{scene}_"))
        }


class SceneDataset(Sequence[LabelledScene]):
    """The scenes that a folder held when it was opened, sorted by file name; read from disk at each access."""

    def __init__(self, folder: Path, header: dict[str, Any], paths: Sequence[Path]) -> None:
        self.folder = folder
        self.header = header
        self.paths = tuple(paths)

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> LabelledScene: ...

    @overload
    def __getitem__(self, index: slice) -> SceneDataset: ...

    def __getitem__(self, index: int | slice) -> LabelledScene | SceneDataset:
        if isinstance(index, slice):
            return SceneDataset(self.folder, self.header, self.paths[index])
        return read_scene(self.paths[index])

    def __iter__(self) -> Iterator[LabelledScene]:
        return (read_scene(path) for path in self.paths)


def holds_dataset(folder: Path | str) -> bool:
    """Whether there is a data set in a folder, of whatever format."""
    return (Path(folder) / _HEADER_FILE).exists()


def open_dataset(folder: Path | str) -> SceneDataset:
    """Opens a folder of scenes. Raises DatasetError when there is no data set, or one of another format."""
    folder = Path(folder)
    return SceneDataset(folder, read_dataset_header(folder), _scene_paths(folder))


def read_dataset_header(folder: Path | str) -> dict[str, Any]:
    """What ``dataset.json`` says. Raises DatasetError when it is missing, damaged, or of another format."""
    path = Path(folder) / _HEADER_FILE
    try:
        header = json.loads(path.read_text())
    except FileNotFoundError:
        raise DatasetError(
            f"{Path(folder)} holds no data set ({_HEADER_FILE} is missing); "
            "make one with `giga generate`, or name another folder"
        ) from None
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{path} cannot be read ({error}); delete it and let `giga generate` write it again"
        ) from error
    check_format(path, header)
    return header


def misplaced_scene(path: Path, header: Mapping[str, Any]) -> str:
    """A sentence when a file's name is not that of the scene that its header tells of (it was copied); else ""."""
    name = scene_file_name(str(header.get("scene")), int(header.get("seed", -1)))
    if path.name == name:
        return ""
    return f"{path} holds the scene of {name}; rename it, or delete it where that file is there too"


def leftover_files(folder: Path) -> list[Path]:
    """Files that killed writers left: harmless, and never read."""
    return sorted(folder.glob(".*.tmp"))


def _scene_paths(folder: Path) -> list[Path]:
    return sorted(path for kind in SCENE_KINDS for path in folder.glob(f"{kind}_[0-9]*.npz"))
