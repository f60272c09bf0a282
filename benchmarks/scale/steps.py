"""What each step of a run costs for a million of its lines: ``python -m benchmarks.scale.steps EVENT_LOG``.

Delta's own queries over its log count to the step that they were made for.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from rich.console import Console

from benchmarks.scale.recorded import Recorded, Stage, read_event_log
from benchmarks.scale.report import markdown_table, rendered

_MILLION = 1e6


@dataclass
class Cost:
    """What the tasks of a step cost together.

    Attributes:
        tasks: how many there were.
        cpu_seconds: in which they had a core.
        shuffled: bytes that they wrote for other stages.
    """

    tasks: int = 0
    cpu_seconds: float = 0.0
    shuffled: int = 0

    def add(self, stage: Stage) -> None:
        """Counts a stage in."""
        self.tasks += len(stage.tasks)
        self.cpu_seconds += sum(task.cpu_seconds for task in stage.tasks)
        self.shuffled += stage.shuffled


# What a step does, and what a stage of it is for.
Part = tuple[str, str]


def kind_of(step: str) -> str:
    """A step without what tells one window from another: the ``of 30 dates`` of a building, for one."""
    words = takewhile(lambda word: not any(c.isdigit() for c in word), step.split())
    return " ".join(words).removesuffix(" of") or "other"


def purpose_of(stage: Stage) -> str:
    """``write`` where its rows go to a table, ``shuffle`` to another stage, else ``result``."""
    if stage.rows_written:
        return "write"
    return "shuffle" if stage.shuffled else "result"


def costs(run: Recorded) -> dict[Part, Cost]:
    """Costs by step and purpose, in order of their first stage."""
    found: dict[Part, Cost] = defaultdict(Cost)
    for stage in run.stages:
        found[kind_of(stage.step), purpose_of(stage)].add(stage)
    return dict(found)


def steps_table(runs: Sequence[Recorded], least: float) -> str:
    """A row for each part of a step: of each run, tasks, CPU seconds for a million lines, megabytes shuffled.

    Args:
        runs: the same batch over other numbers of lines.
        least: CPU seconds of a part that has a row of its own; all others share the last one.
    """
    found = [costs(run) for run in runs]
    heads = [(f"{run.lines:,} lines: tasks", "CPU s a million", "MB shuffled") for run in runs]
    table = markdown_table("step", "to", *[head for triple in heads for head in triple])
    parts = list(dict.fromkeys(part for of_run in found for part in of_run))
    large = [p for p in parts if any(p in of_run and of_run[p].cpu_seconds >= least for of_run in found)]
    small = [part for part in parts if part not in large]
    rows: list[tuple[Part, Iterable[Part]]] = [(part, [part]) for part in large]
    for (step, purpose), summed in [*rows, (("all others", ""), small), (("together", ""), parts)]:
        cells = [_cells(_sum(of_run, summed), run.lines) for of_run, run in zip(found, runs, strict=True)]
        table.add_row(step, purpose, *[cell for triple in cells for cell in triple])
    alone = [("", f"{run.driver_seconds * _MILLION / run.lines:.2f} s by the clock", "") for run in runs]
    table.add_row("driver, no task at work", "", *[cell for triple in alone for cell in triple])
    return rendered(table)


def _sum(found: Mapping[Part, Cost], parts: Iterable[Part]) -> Cost:
    there = [found[part] for part in parts if part in found]
    return Cost(
        sum(cost.tasks for cost in there),
        sum(cost.cpu_seconds for cost in there),
        sum(cost.shuffled for cost in there),
    )


def _cells(cost: Cost, lines: int) -> tuple[str, str, str]:
    return f"{cost.tasks:,}", f"{cost.cpu_seconds * _MILLION / lines:.2f}", f"{cost.shuffled / 1e6:,.0f}"


def main(arguments: Sequence[str]) -> int:
    """Prints the table; 2 where a log cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.steps", description=__doc__)
    parser.add_argument("event_log", type=Path, nargs="+", help="of a run: one file, not compressed")
    parser.add_argument("--least", type=float, default=1.0, help="CPU seconds that make a row of its own")
    asked = parser.parse_args(arguments)
    try:
        runs = [read_event_log(path) for path in asked.event_log]
    except (OSError, ValueError) as error:
        Console(stderr=True).print(f"error: {error}", highlight=False, soft_wrap=True)
        return 2
    Console().print(steps_table(runs, asked.least), highlight=False, markup=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
