"""Draws bars of wall time, CPU time and memory, by size and contender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tools.benchmarks.contenders import CONTENDERS
from tools.benchmarks.report import EQUAL, Spread, Summary

_PANELS = {
    "wall_seconds": "wall time, s",
    "cpu_seconds": "CPU time, s",
    "peak_memory_gb": "peak memory, GB",
}
_GROUP_WIDTH = 0.8


def draw(summaries: Sequence[Summary], machine: Mapping[str, str], path: Path) -> None:
    """Writes the chart as SVG: less is better in every panel.

    Args:
        summaries: the results.
        machine: properties of the machine that ran them.
        path: file to write.
    """
    # A fixed salt makes equal results give an identical file.
    with mpl.rc_context({"svg.hashsalt": "benchmarks", "svg.fonttype": "none"}):
        figure = Figure(figsize=(11, 9.5), layout="constrained")
        panels = figure.subplots(len(_PANELS), 1)
        for axes, (measure, title) in zip(panels, _PANELS.items(), strict=True):
            _draw_panel(axes, summaries, measure, title)
        figure.legend(
            *panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False
        )
        figure.supxlabel(_caption(machine), fontsize="small")
        figure.savefig(path, format="svg", metadata={"Date": None})


def _draw_panel(axes: Axes, summaries: Sequence[Summary], measure: str, title: str) -> None:
    sizes = list(dict.fromkeys(summary.lines for summary in summaries))
    contenders = list(dict.fromkeys(summary.contender for summary in summaries))
    width = _GROUP_WIDTH / len(contenders)
    for number, contender in enumerate(contenders):
        left = (number - (len(contenders) - 1) / 2) * width
        by_size = {summary.lines: summary for summary in summaries if summary.contender == contender}
        positions = [group + left for group in range(len(sizes))]
        spreads = [_spread(by_size.get(lines), measure) for lines in sizes]
        _draw_bars(axes, positions, spreads, width, CONTENDERS[contender].title)
        for position, lines in zip(positions, sizes, strict=True):
            outcome = by_size[lines].outcome if lines in by_size else "not run"
            if outcome != EQUAL:
                axes.text(
                    position, 0.03, outcome[:40], rotation=90, ha="center", va="bottom", fontsize="x-small",
                    transform=axes.get_xaxis_transform(),
                )  # fmt: skip
    axes.set_xticks(range(len(sizes)), [f"{lines:,} lines" for lines in sizes])
    axes.set_yscale("log" if len(sizes) > 1 and measure != "peak_memory_gb" else "linear")
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.set_ylabel(title)
    axes.grid(axis="y", alpha=0.3)


def _draw_bars(
    axes: Axes, positions: Sequence[float], spreads: Sequence[Spread], width: float, label: str
) -> None:
    medians = [spread.median for spread in spreads]
    below = [spread.median - spread.lowest for spread in spreads]
    above = [spread.highest - spread.median for spread in spreads]
    axes.bar(positions, medians, width * 0.9, yerr=[below, above], capsize=2, label=label)


def _spread(summary: Summary | None, measure: str) -> Spread:
    nothing = Spread(0.0, 0.0, 0.0)
    return nothing if summary is None else summary.measures.get(measure, nothing)


def _caption(machine: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {machine[name]}" for name in ("CPU", "cores", "memory", "Spark", "Python"))
