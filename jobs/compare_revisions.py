"""Shows the lines and gold rows that differ between two revisions of a business date. Writes no table."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click
from rich.table import Table as Grid

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.report.streams import output
from pipeline.report.tables import bare_grid
from pipeline.steps.compare import Comparison, compare_revisions
from pipeline.steps.context import Batch
from schemas.errors import UsageError

_NOT_SHOWN = ("gross_before", "gross_after")


def run(batch: Batch, options: Options) -> dict[str, Any]:
    """Compares the last two revisions of a date, or two given ones."""
    dates = batch.requested.days()
    if len(dates) != 1:
        raise UsageError("compare_revisions needs one --date, for example --date 2026-11-24")
    extra = options.extra
    comparison = compare_revisions(batch, dates[0], extra["revision"], extra["with_revision"], extra["out"])
    _print_comparison(comparison)
    return {"comparison": comparison.as_json()}


def _print_comparison(comparison: Comparison) -> None:
    """Prints the sums of the changes and the first differences of each table."""
    console = output()
    console.print(f"{comparison.date}: revision {comparison.before} and revision {comparison.after}")
    if comparison.counts:
        counts = [{**row, "net": f"{Decimal(row['net']):+,}"} for row in comparison.counts]
        console.print(_grid(counts))
    elif not comparison.missing:
        console.print("no line and no invoice differs")
    for table, rows in comparison.examples.items():
        if rows:
            console.print(f"\n{table}, the first {len(rows)} that differ:")
            console.print(_grid([{k: v for k, v in row.items() if k not in _NOT_SHOWN} for row in rows]))
    for table, reason in comparison.missing.items():
        console.print(f"{table} is not compared: {reason}", markup=False)


def _grid(rows: list[dict[str, Any]]) -> Grid:
    grid = bare_grid()
    for name in rows[0]:
        grid.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        grid.add_row(*[_text(value) for value in row.values()])
    return grid


def _text(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(value) if isinstance(value, list) else str(value)


JOB = Job(
    "compare_revisions",
    "Shows the lines and invoices that differ between two revisions of a business date.",
    run,
    [
        click.option(
            "--revision", type=click.IntRange(min=1), help="Earlier revision; default: the one before --with."
        ),
        click.option(
            "--with", "with_revision", type=click.IntRange(min=1), help="Later revision; default: the newest."
        ),
        click.option("--out", metavar="FOLDER", help="Folder or URI for every difference, as CSV."),
    ],
    records_runs=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
