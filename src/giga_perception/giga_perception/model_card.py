"""What a model says of itself: a card inside its file, and the same to read beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import torch

from giga_perception.model_kinds import MODEL_KINDS
from giga_perception.source_commit import source_commit
from giga_perception.training_checks import TrainingResult
from giga_perception.training_recipe import TrainingRecipe
from giga_perception.training_scenes import SceneSelection

_FIGURE_LINES = (
    ("balanced_bce", "quality, balanced cross-entropy (0.69 = knows nothing)", "{:.3f}"),
    ("auc", "quality, area under the ROC curve", "{:.3f}"),
    ("balanced_accuracy", "quality, balanced accuracy at 0.5", "{:.3f}"),
    ("precision", "quality, precision at 0.5 (at the natural share of successes)", "{:.3f}"),
    ("recall", "quality, recall at 0.5", "{:.3f}"),
    ("rotation_error_deg", "orientation, median angle to the label in degrees", "{:.1f}"),
    ("width_error_m", "width, median error in metres", "{:.4f}"),
    ("occupancy_iou", "occupancy, intersection over union", "{:.3f}"),
)


def training_card(
    name: str,
    selection: SceneSelection,
    data_headers: Mapping[str, Mapping[str, Any]],
    recipe: TrainingRecipe,
    result: TrainingResult,
    initial: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The card of a trained network.

    `data_headers`: each data set's header by its folder's name. `initial`: card of the model that training began with.
    """
    scenes = selection.scenes
    return {
        "name": name,
        "kind": result.model.kind,
        "parameters": str(sum(parameter.numel() for parameter in result.model.parameters())),
        "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": source_commit(),
        "torch": torch.__version__,
        "data": json.dumps(data_headers, sort_keys=True),
        "scenes": json.dumps(
            {
                "training": len(scenes.train),
                "validation": len(scenes.validation),
                "validation_objects_new": selection.objects_held_out,
                "labelled_points": selection.labelled_points,
                "successes": selection.successes,
                "seeds": selection.seeds,
                **selection.kinds,
            }
        ),
        "recipe": json.dumps(asdict(recipe), sort_keys=True),
        "steps": str(result.steps),
        "minutes": f"{result.seconds / 60.0:.1f}",
        "validation": json.dumps(result.figures.as_dict() if result.figures is not None else {}),
        "simulated": json.dumps(dict(result.simulated)) if result.simulated is not None else "",
        "initial": json.dumps(dict(initial)) if initial is not None else "",
    }


def card_markdown(card: Mapping[str, str]) -> str:
    """The card as a page to read."""
    scenes = json.loads(card["scenes"])
    recipe = json.loads(card["recipe"])
    figures = json.loads(card["validation"])
    rates = json.loads(card["simulated"]) if card["simulated"] else {}
    began_with = json.loads(card["initial"]) if card["initial"] else None
    kinds = ", ".join(f"{scenes[kind]} {kind}" for kind in ("pile", "packed") if kind in scenes)
    lines = [
        f"# {card['name']}",
        "",
        _kind_line(card),
        f"Trained {card['created']}, {card['steps']} steps in {card['minutes']} minutes, with torch {card['torch']}, "
        f"commit {card['commit']}.",
        *([_ancestor_line(began_with)] if began_with is not None else []),
        "",
        "## Data",
        "Simulated scenes, labelled by trials of the free-floating hand; no real images.",
        f"{scenes['training']} scenes for training, {scenes['validation']} for validation ({kinds}; seeds "
        f"{scenes['seeds']}), {scenes['labelled_points']} labelled points, {scenes['successes']} of them successes.",
        "The validation scenes are made of objects that training never saw."
        if scenes["validation_objects_new"]
        else "The objects of the validation scenes also appear in training.",
        "",
        "```json",
        json.dumps(json.loads(card["data"]), indent=2, sort_keys=True),
        "```",
        "",
        "## Recipe",
        "| setting | value |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in sorted(recipe.items())),
        "",
        f"## Figures on the {scenes['validation']} validation scenes, with depth noise",
    ]
    if figures:
        lines += ["| figure | value |", "|---|---|"]
        lines += [f"| {text} | {form.format(figures[key])} |" for key, text, form in _FIGURE_LINES if key in figures]
        lines += ["", f"{figures['points']} labelled points, {figures['successes']} successes."]
    else:
        lines += ["There were no validation scenes."]
    lines += [
        "",
        "These say how well labels are predicted, not how often an arm lifts an object: for that, see the benchmarks.",
    ]
    if rates:
        lines += ["", "## Grasping simulated while it trained", "| rate | per cent |", "|---|---|"]
        lines += [f"| {name} | {value:.1f} |" for name, value in rates.items()]
        lines += ["", "A few tables with validation objects, always the same ones: to choose by, not to quote."]
    return "\n".join(lines) + "\n"


def _kind_line(card: Mapping[str, str]) -> str:
    """Which model it is and what it is for."""
    kind = MODEL_KINDS[card["kind"]]
    *others, last = kind.outputs
    outputs = f"{', '.join(others)} and {last}" if others else last
    line = f"{kind.title} ({int(card['parameters']):,} parameters): a 40^3 TSDF in; {outputs} out."
    return f"{line} What the occupancy head learnt did not reach the encoder." if kind.detached else line


def _ancestor_line(card: Mapping[str, str]) -> str:
    """What is known of the model that training began with."""
    line = f"Its training began with the weights of the model {card.get('name', 'without a name')}"
    # A converted model, or one of an earlier program, says less.
    if card.get("kind") in MODEL_KINDS:
        line += f", a {MODEL_KINDS[card['kind']].title} network"
    if {"scenes", "steps", "recipe"} <= card.keys():
        scenes = json.loads(card["scenes"])
        recipe = json.loads(card["recipe"])
        line += f", trained for {card['steps']} steps of {recipe['batch']} on {scenes['training']} scenes"
        line += f" (seeds {scenes['seeds']}, rate {recipe['learning_rate']}, augmentation {recipe['augmentation']})"
    line += f" ({card['source']})." if "source" in card else "."
    return f"{line} {_ancestor_line(json.loads(card['initial']))}" if card.get("initial") else line
