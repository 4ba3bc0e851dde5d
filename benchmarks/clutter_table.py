"""`giga benchmark clutter-table`: results of `giga benchmark clutter` side by side, as a table and as a plot.

Only what is comparable stands in one table: results of one protocol, on one set of objects, as many a round.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from giga_bringup.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUMMARY = "results of the clutter benchmark side by side: a table, and a plot with intervals"
EXAMPLES = """  ./giga benchmark clutter-table pile.json packed.json
  ./giga benchmark clutter-table benchmarks/results/clutter_*.json --markdown clutter.md --plot clutter.png"""

COLUMNS = ("detector", "scene", "GSR %", "DR %", "rounds", "rounds ended", "detection ms")
SCENES = ("packed", "pile")
_COLOURS = {"gsr": "#3b6ea8", "dr": "#d98032"}
_INK = "#22262b"

Result = Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results", type=Path, nargs="+", metavar="RESULT", help="file of `giga benchmark clutter --json`"
    )
    parser.add_argument("--markdown", type=Path, help="write the tables there")
    parser.add_argument("--plot", type=Path, help="write the plot there (PNG, SVG, PDF by its ending)")


def run(args: argparse.Namespace) -> int:
    groups = comparable_groups([read_result(file) for file in args.results])
    text = markdown(groups)
    print(text, end="")
    try:
        if args.markdown:
            args.markdown.write_text(text)
            print(f"\nwritten to {args.markdown}")
        if args.plot:
            write_plot(groups, args.plot)
            print(f"\ndrawn in {args.plot}")
    except (OSError, ValueError) as error:
        raise UserError(f"the table or the plot cannot be written: {error}") from error
    return 0


def read_result(file: Path) -> Result:
    """A result of the clutter benchmark. Raises UserError when the file is none."""
    remedy = "name files that `giga benchmark clutter --json` wrote"
    try:
        result = json.loads(file.read_text())
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}): {remedy}") from error
    except ValueError as error:
        raise UserError(f"{file} is no JSON file ({error}): {remedy}") from error
    needed = ("protocol", "scene", "gsr_percent", "gsr_interval_percent", "dr_percent", "dr_interval_percent", "rounds")
    missing = [name for name in needed if not isinstance(result, dict) or name not in result]
    if missing:
        raise UserError(f"{file} is no result of the clutter benchmark (it lacks {', '.join(missing)}): {remedy}")
    return {"label": f"{result['model']} {result['mode']}", **result}


def comparable_groups(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Results by what they must share to be compared, said in words; groups and results in the order given."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        title = (
            f"Protocol {result['protocol']}, {result['object_count']} objects a round, "
            f"{result['object_set']} ({result['split']})"
        )
        groups.setdefault(title, []).append(result)
    return groups


def markdown(groups: Mapping[str, Sequence[Result]]) -> str:
    """A table a group, with what the figures are."""
    lines = []
    if len(groups) > 1:
        lines += ["Figures of different tables do not compare: protocol or objects differ.", ""]
    for title, results in groups.items():
        lines += [f"**{title}**", "", _row(COLUMNS), _row(["---"] * len(COLUMNS))]
        lines += [_row(_cells(result)) for result in sorted(results, key=lambda result: SCENES.index(result["scene"]))]
        lines.append("")
    lines.append(
        "In brackets the 95 % interval of all rounds together; after it, mean and standard deviation over seeds."
    )
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cells(result: Result) -> list[str]:
    first_seeds = result.get("first_seeds", result["seeds"][:1])
    rounds = f"{len(first_seeds)} x {result['rounds_per_first_seed']}" if len(first_seeds) > 1 else None
    ends = sorted(result["ends"].items(), key=lambda item: -item[1])
    return [
        result["label"].replace("|", "\\|"),
        result["scene"],
        _rate(result, "gsr"),
        _rate(result, "dr"),
        rounds or str(len(result["rounds"])),
        ", ".join(f"{end} {count}" for end, count in ends),
        f"{result['median_detection_ms']:.0f}",
    ]


def _rate(result: Result, name: str) -> str:
    low, high = result[f"{name}_interval_percent"]
    cell = f"{result[f'{name}_percent']:.1f} ({low:.1f} to {high:.1f})"
    if result.get(f"{name}_std_percent") is not None:
        cell += f", {result[f'{name}_mean_percent']:.1f} ± {result[f'{name}_std_percent']:.1f}"
    return cell


def write_plot(groups: Mapping[str, Sequence[Result]], file: Path) -> None:
    """Bars of GSR and DR with whiskers over their 95 % intervals, a panel a scene of each group.

    Raises OSError when the file cannot be written, ValueError for an ending that is no kind of picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [
        (f"{scene}\n{title}", [result for result in results if result["scene"] == scene])
        for title, results in groups.items()
        for scene in SCENES
        if any(result["scene"] == scene for result in results)
    ]
    most_rows = [len(results) for _, results in panels]
    figure = Figure(figsize=(9.0, sum(0.62 * rows + 1.1 for rows in most_rows)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True, height_ratios=[rows + 0.6 for rows in most_rows])
    for (title, results), panel in zip(panels, axes[:, 0], strict=True):
        _draw_panel(panel, title, results)
    axes[-1, 0].set_xlabel("per cent, whiskers: 95 % interval", color=_INK)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
    figure.savefig(file)


def _draw_panel(panel: Axes, title: str, results: Sequence[Result]) -> None:
    for offset, (name, colour) in zip((-0.2, 0.2), _COLOURS.items(), strict=True):
        rates = [result[f"{name}_percent"] for result in results]
        intervals = [result[f"{name}_interval_percent"] for result in results]
        # A drawn interval may miss the rate itself by rounding; a whisker has no negative length.
        whiskers = [
            [max(0.0, rate - low) for rate, (low, _) in zip(rates, intervals, strict=True)],
            [max(0.0, high - rate) for rate, (_, high) in zip(rates, intervals, strict=True)],
        ]
        places = [row + offset for row in range(len(results))]
        panel.barh(places, rates, 0.38, color=colour, xerr=whiskers, ecolor=_INK, capsize=3, label=name.upper())
        for place, rate in zip(places, rates, strict=True):
            panel.text(1.0, place, f"{rate:.1f}", va="center", color="white" if rate > 10.0 else _INK, fontsize=8)
    panel.set_yticks(range(len(results)), [result["label"] for result in results])
    panel.invert_yaxis()
    panel.set_xlim(0.0, 100.0)
    panel.set_title(title, loc="left", fontsize=9, color=_INK)
    panel.grid(axis="x", alpha=0.3)
    panel.set_axisbelow(True)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
