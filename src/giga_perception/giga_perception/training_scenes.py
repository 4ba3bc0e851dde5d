"""From data set folders to the scenes of a training run: which to learn from, which to hold out, held in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from giga_perception.dataset import DatasetError, open_dataset, read_scene
from giga_perception.training import TrainingScenes
from giga_perception.training_batches import CompactScene, compact_scene

# Where no scene is marked for validation, one of this many is held out; its objects then are not new to the network.
_FALLBACK_SHARE = 20


@dataclass(frozen=True)
class SceneSelection:
    """Scenes in memory and what a model card tells of them.

    objects_held_out: whether the validation scenes are made of objects that no training scene has.
    other_views: how many images there are in memory besides one side view a scene.
    """

    scenes: TrainingScenes
    kinds: dict[str, int]
    labelled_points: int
    successes: int
    seeds: str
    objects_held_out: bool
    other_views: int = 0


def load_scenes(
    folders: Sequence[Path],
    *,
    names: Sequence[str] | None = None,
    limit: int | None = None,
    other_views: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> SceneSelection:
    """Reads the scenes of the folders: about 0.3 MB each in memory, and at most 17 KB a view besides the side view.

    `names` ("folder/file", from a checkpoint) restricts to exactly those, so that a run goes on with what it began with
    although its folder has grown; `limit` takes that many at most, evenly chosen. `other_views`: read more than the
    side view of each scene, where there is more. `progress` is called with the number read and the number to read.
    Raises DatasetError for a missing or damaged folder or file.
    """
    files = {f"{path.parent.name}/{path.name}": path for folder in folders for path in open_dataset(folder).paths}
    if names is not None:
        missing = [name for name in names if name not in files]
        if missing:
            raise DatasetError(
                f"{len(missing)} scenes that the run began with are gone, the first is {missing[0]}; "
                "put them back, or start a new run in another folder with --out"
            )
        files = {name: files[name] for name in names}
    elif limit is not None and len(files) > limit:
        kept = [list(files)[i * len(files) // limit] for i in range(limit)]
        files = {name: files[name] for name in kept}
    if not files:
        raise DatasetError(f"no scene in {', '.join(str(folder) for folder in folders)}; run `giga generate` first")

    marked: list[bool] = []
    compact: list[CompactScene] = []
    kinds: dict[str, int] = {}
    objects: dict[bool, set[str]] = {False: set(), True: set()}
    seeds: list[int] = []
    for done, path in enumerate(files.values(), start=1):
        scene = read_scene(path, other_views=other_views)
        marked.append(scene.split == "val")
        objects[marked[-1]].update(scene.object_names)
        kinds[scene.scene] = kinds.get(scene.scene, 0) + 1
        seeds.append(scene.seed)
        compact.append(compact_scene(scene))
        if progress is not None:
            progress(done, len(files))
    held_out = any(marked) and not objects[True] & objects[False]
    validation = marked if any(marked) else [i % _FALLBACK_SHARE == _FALLBACK_SHARE - 1 for i in range(len(compact))]
    return SceneSelection(
        scenes=TrainingScenes(
            names=tuple(files),
            train=tuple(scene for scene, held in zip(compact, validation, strict=True) if not held),
            validation=tuple(scene for scene, held in zip(compact, validation, strict=True) if held),
        ),
        kinds=kinds,
        labelled_points=sum(len(scene.successes) for scene in compact),
        successes=sum(int(scene.successes.sum()) for scene in compact),
        seeds=f"{min(seeds)} to {max(seeds)}",
        objects_held_out=held_out,
        other_views=sum(len(scene.other_views) for scene in compact),
    )
