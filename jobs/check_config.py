"""Checks a config against a lake: what becomes stale, and what that costs. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.markup import escape

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.planning.timetable import format_duration
from pipeline.report.streams import output
from pipeline.report.tables import bare_grid
from pipeline.steps.check_config import ConfigFinding, check_config
from pipeline.steps.context import Batch

_STYLES = {"ok": "green", "stale": "yellow", "changed": "yellow", "problem": "red"}


def run(batch: Batch, _: Options) -> dict[str, Any]:
    """Checks the config and prints what was found."""
    findings = check_config(batch)
    _print_findings(findings)
    return {"checks": [finding.as_json() for finding in findings]}


def _print_findings(findings: Iterable[ConfigFinding]) -> None:
    """Prints one line per part of the config."""
    grid = bare_grid()
    for name in ("part", "is", "dates", "lines", "takes about", "what it is"):
        grid.add_column(name, overflow="fold", justify="right" if name in ("dates", "lines") else "left")
    for finding in findings:
        style = _STYLES[finding.state]
        grid.add_row(
            escape(finding.check),
            f"[{style}]{finding.state}[/]",
            f"{finding.dates:,}" if finding.dates else "",
            f"{finding.lines:,}" if finding.lines else "",
            "" if finding.seconds is None else format_duration(finding.seconds),
            escape(finding.said),
        )
    output().print(grid)


JOB = Job(
    "check_config",
    "Checks a config, its rules and its SQL against a lake. Exit code 0: a run accepts it; 2: it does not.",
    run,
    records_runs=False,
    needs_settled_lake=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
