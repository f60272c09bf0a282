"""Checks a place before a run, and says how to fix each problem. Ends with 0 or 2."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click
from rich.markup import escape

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.report.streams import output
from pipeline.report.tables import bare_grid
from pipeline.steps.context import Batch
from pipeline.steps.doctor import examine

_STYLES = {"ok": "green", "warning": "yellow", "problem": "red"}


def run(batch: Batch, options: Options) -> dict[str, Any]:
    """Runs all checks of the place and prints their findings."""
    checks = [finding.as_json() for finding in examine(batch)]
    if not options.extra["json"]:
        _print_findings(checks)
    return {"checks": checks}


def _print_findings(checks: Iterable[Mapping[str, str]]) -> None:
    """Prints one line per check.

    Args:
        checks: ``checks`` of the result.
    """
    grid = bare_grid()
    for name in ("check", "is", "found", "what to do"):
        grid.add_column(name, overflow="fold")
    for check in checks:
        style = _STYLES[check["state"]]
        grid.add_row(
            check["check"], f"[{style}]{check['state']}[/]", escape(check["said"]), escape(check["advice"])
        )
    output().print(grid)


JOB = Job(
    "doctor",
    "Checks a place before a run and says how to fix each problem. Exit code 0: ready; 2: a problem.",
    run,
    [click.option("--json", is_flag=True, help="Print the result as one JSON object, for monitoring.")],
    records_runs=False,
    needs_settled_lake=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
