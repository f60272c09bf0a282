"""CPU cost of each step of a run per million lines: ``python -m tools.benchmarks.scale.steps EVENT_LOG``.

Delta's queries over its own log count toward the step that needed them.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, takewhile
from pathlib import Path

from rich.console import Console

from tools.benchmarks.scale.recorded import Recorded, Stage, read_event_log
from tools.benchmarks.scale.report import markdown_table, rendered

_MILLION = 1e6


# A kind of step, and the purpose of one of its stages.
Part = tuple[str, str]


def kind_of(step: str) -> str:
    """A step without the words that differ from window to window, such as ``of 30 dates``."""
    words = takewhile(lambda word: not any(c.isdigit() for c in word), step.split())
    return " ".join(words).removesuffix(" of") or "other"


def purpose_of(stage: Stage) -> str:
    """``write`` if its rows go to a table, ``shuffle`` if they go to another stage, else ``result``."""
    if stage.rows_written:
        return "write"
    return "shuffle" if stage.shuffled else "result"


def stages_by_part(run: Recorded) -> dict[Part, list[Stage]]:
    """A run's stages by step and purpose, in order of the first of each."""
    by_part: dict[Part, list[Stage]] = defaultdict(list)
    for stage in run.stages:
        by_part[kind_of(stage.step), purpose_of(stage)].append(stage)
    return dict(by_part)


def steps_table(runs: Sequence[Recorded], least: float) -> str:
    """One row per part of a step; per run: tasks, CPU seconds per million lines, megabytes shuffled.

    Args:
        runs: runs of the same batch over different numbers of lines.
        least: CPU seconds from which a part has its own row; smaller parts share one row.
    """
    measured = [(run.lines, stages_by_part(run)) for run in runs]
    heads = [(f"{lines:,} lines: tasks", "CPU s a million", "MB shuffled") for lines, _ in measured]
    table = markdown_table("step", "to", *chain.from_iterable(heads), words=("step", "to"))
    parts = list(dict.fromkeys(part for _, by_part in measured for part in by_part))
    large = [p for p in parts if any(_cpu(by_part.get(p, [])) >= least for _, by_part in measured)]
    small = [part for part in parts if part not in large]
    rows: list[tuple[Part, Sequence[Part]]] = [(part, [part]) for part in large]
    for (step, purpose), summed in [*rows, (("all others", ""), small), (("together", ""), parts)]:
        cells = [
            _cells([stage for part in summed for stage in by_part.get(part, [])], lines)
            for lines, by_part in measured
        ]
        table.add_row(step, purpose, *chain.from_iterable(cells))
    alone = [("", f"{run.driver_seconds * _MILLION / run.lines:.2f} s by the clock", "") for run in runs]
    table.add_row("driver, no task at work", "", *chain.from_iterable(alone))
    return rendered(table)


def _cpu(stages: Sequence[Stage]) -> float:
    return sum(stage.cpu_seconds for stage in stages)


def _cells(stages: Sequence[Stage], lines: int) -> tuple[str, str, str]:
    tasks, shuffled = sum(len(stage.tasks) for stage in stages), sum(stage.shuffled for stage in stages)
    return f"{tasks:,}", f"{_cpu(stages) * _MILLION / lines:.2f}", f"{shuffled / 1e6:,.0f}"


def main(arguments: Sequence[str]) -> int:
    """Prints the table; returns 2 if a log cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.scale.steps", description=__doc__)
    parser.add_argument("event_log", type=Path, nargs="+", help="event log of a run: one uncompressed file")
    parser.add_argument("--least", type=float, default=1.0, help="CPU seconds of a part with its own row")
    requested = parser.parse_args(arguments)
    try:
        runs = [read_event_log(path) for path in requested.event_log]
    except (OSError, ValueError) as error:
        Console(stderr=True).print(f"error: {error}", highlight=False, soft_wrap=True)
        return 2
    Console().print(steps_table(runs, requested.least), highlight=False, markup=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
