"""Brings an earlier revision of a business date back, with the gold that follows from it."""

from __future__ import annotations

import click

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch
from pipeline.steps.restore import restore
from schemas.errors import UsageError
from schemas.states import Stage


def run(batch: Batch, options: Options) -> None:
    """Publishes the content of a revision again, as the next one."""
    dates = batch.requested.days()
    if len(dates) != 1:
        raise UsageError("restore_sales needs one --date, as --date 2026-11-24")
    restore(batch, dates[0], options.extra["revision"])


JOB = Job(
    "restore_sales",
    "Brings an earlier revision of a business date back, as the next one, with its totals and invoices.",
    run,
    [click.option("--revision", type=click.IntRange(min=1), required=True, help="Revision to bring back.")],
    stages=[Stage.DAILY_SALES, Stage.INVOICES],
)

if __name__ == "__main__":
    JOB.main()
