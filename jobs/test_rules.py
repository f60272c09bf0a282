"""Runs cases of a team's own rules and tables, and prints what came out otherwise than expected."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import click
from rich.markup import escape

from pipeline.cases import read_cases
from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.report.streams import output
from pipeline.report.tables import bare_grid
from pipeline.steps.cases import Difference, run_cases
from pipeline.steps.context import Batch
from schemas.states import ExitCode


def run(batch: Batch, options: Options) -> dict[str, Any]:
    """Runs the cases of all files. The run fails with 4 if one does not come out as expected."""
    cases = read_cases(
        options.extra["files"], {table.view: table.columns for table in batch.lake.tables.gold}
    )
    differences = run_cases(batch, cases)
    _print_differences(differences)
    failed = {difference.title for difference in differences}
    output().print(f"{len(cases):,} cases, {len(failed):,} failed")
    for title in sorted(failed):
        batch.outcome.fail(ExitCode.AUDIT, title)
    checks = [
        {"case": filed.title, "state": "failed" if filed.title in failed else "passed"} for filed in cases
    ]
    return {"checks": checks}


def _print_differences(differences: Sequence[Difference]) -> None:
    """Prints rows side by side: equal ones plain, different ones in red."""
    console = output()
    for difference in differences:
        console.print(f"{difference.title}: {difference.what}", style="bold", markup=False)
        grid = bare_grid()
        for name in ("expected", "found"):
            grid.add_column(name, overflow="fold")
        for expected, found in zip_longest(difference.expected, difference.found, fillvalue=""):
            style = "" if expected == found else "red"
            grid.add_row(escape(expected), escape(found), style=style)
        console.print(grid)


JOB = Job(
    "test_rules",
    "Runs given/expect cases of your own columns, rules and tables. Exit code 0: all hold; 4: one does not.",
    run,
    [click.argument("files", nargs=-1, required=True, metavar="FILE...")],
    records_runs=False,
    needs_settled_lake=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
