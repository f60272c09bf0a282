"""The results: Markdown for people, JSON for programs."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tools.benchmarks.contenders import CONTENDERS
from tools.benchmarks.measure import Measurement

EQUAL = "equal"
OURS = "ours"
_GB = 1e9

_HEAD = (
    "| contender | wall s | CPU s | peak memory GB | read GB | written GB | wall | CPU | outcome |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---|"
)
_NOTES = """\
Values are medians of the equal runs, with the lowest and highest in brackets; `wall` and `CPU` are multiples
of ours. All contenders read the same files, on the same cores and under the same memory limit, in turn, round
after round. A run is equal if it has the figures of the input's truth and the same lines in every column of
every table. Memory is what the processes hold, without mapped files. Bytes are those of read and write calls,
from the page cache or not; files read through mappings do not count."""


@dataclass(frozen=True)
class Run:
    """One run of a contender.

    Attributes:
        lines: size of the input.
        round: number of the round, from 1.
        contender: its name.
        outcome: ``equal``, or a description of the problem.
        measurement: what it took; None if it was not run.
    """

    lines: int
    round: int
    contender: str
    outcome: str
    measurement: Measurement | None


@dataclass(frozen=True)
class Spread:
    """A measure over several runs."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Median, lowest and highest of the values."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        """The median, with the lowest and highest value if they differ."""
        digits = 1 if self.highest < 100 else 0
        median, lowest, highest = (f"{value:.{digits}f}" for value in asdict(self).values())
        return median if lowest == highest else f"{median} ({lowest} to {highest})"


@dataclass(frozen=True)
class Summary:
    """All runs of a contender on one size of input.

    Attributes:
        outcome: outcome of the first run that was not equal, else ``equal``.
        measures: measures over the equal runs, by name; empty if no run was equal.
    """

    lines: int
    contender: str
    outcome: str
    measures: Mapping[str, Spread]


def summarize(runs: Sequence[Run]) -> list[Summary]:
    """One summary per size and contender, in the order of their first runs."""
    groups: dict[tuple[int, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.lines, run.contender), []).append(run)
    return [_summary(lines, contender, group) for (lines, contender), group in groups.items()]


def markdown(runs: Sequence[Run], machine: Mapping[str, str]) -> str:
    """The report: a table per size, what each contender does not do, and the machine."""
    summaries = summarize(runs)
    parts = []
    for lines in dict.fromkeys(summary.lines for summary in summaries):
        of_size = [summary for summary in summaries if summary.lines == lines]
        ours = next((summary for summary in of_size if summary.contender == OURS), None)
        rows = [_row(summary, ours) for summary in of_size]
        parts.append(f"## {lines:,} lines\n\n{_HEAD}\n" + "\n".join(rows))
    contenders = dict.fromkeys(summary.contender for summary in summaries)
    limits = "\n".join(f"- {CONTENDERS[name].title}: {CONTENDERS[name].limits}." for name in contenders)
    described = "\n".join(f"- {name}: {value}" for name, value in machine.items())
    return (
        "\n\n".join([*parts, _NOTES, f"What each does not do or does differently:\n\n{limits}", described])
        + "\n"
    )


def as_json(runs: Sequence[Run], machine: Mapping[str, str], settings: Mapping[str, Any]) -> str:
    """All runs and summaries, the machine and the settings."""
    content = {
        "machine": machine,
        "settings": settings,
        "summaries": [asdict(summary) for summary in summarize(runs)],
        "runs": [asdict(run) for run in runs],
    }
    return json.dumps(content, indent=1) + "\n"


def _summary(lines: int, contender: str, runs: Sequence[Run]) -> Summary:
    equal = [run.measurement for run in runs if run.outcome == EQUAL and run.measurement is not None]
    outcome = next((run.outcome for run in runs if run.outcome != EQUAL), EQUAL)
    measures = {}
    if equal:
        measures = {
            "wall_seconds": Spread.of([taken.wall_seconds for taken in equal]),
            "cpu_seconds": Spread.of([taken.cpu_seconds for taken in equal]),
            "peak_memory_gb": Spread.of([taken.peak_memory_bytes / _GB for taken in equal]),
            "read_gb": Spread.of([taken.read_bytes / _GB for taken in equal]),
            "written_gb": Spread.of([taken.written_bytes / _GB for taken in equal]),
        }
    return Summary(lines, contender, outcome, measures)


def _row(summary: Summary, ours: Summary | None) -> str:
    names = ("wall_seconds", "cpu_seconds", "peak_memory_gb", "read_gb", "written_gb")
    values = [str(summary.measures.get(name, "")) for name in names]
    ratios = [_ratio(summary, ours, name) for name in names[:2]]
    # A bar would end the table cell.
    outcome = summary.outcome.replace("|", "/")
    return "| " + " | ".join([CONTENDERS[summary.contender].title, *values, *ratios, outcome]) + " |"


def _ratio(summary: Summary, ours: Summary | None, name: str) -> str:
    if ours is None or name not in ours.measures or name not in summary.measures:
        return ""
    return f"{summary.measures[name].median / ours.measures[name].median:.2f}"
