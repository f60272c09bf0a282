"""Shows the lines and gold rows that differ between two revisions of a business date. Writes no table."""

from __future__ import annotations

import click

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.report.comparison import print_comparison
from pipeline.steps.compare import compare_revisions
from pipeline.steps.context import Batch
from schemas.errors import UsageError


def run(batch: Batch, options: Options) -> None:
    """Compares the last two revisions of a date, or two given ones."""
    dates = batch.requested.days()
    if len(dates) != 1:
        raise UsageError("compare_revisions needs one --date, for example --date 2026-11-24")
    extra = options.extra
    comparison = compare_revisions(batch, dates[0], extra["revision"], extra["with_revision"], extra["out"])
    batch.outcome.comparison = comparison.as_json()
    print_comparison(comparison)


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
