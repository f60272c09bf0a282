"""Restores an earlier revision of a business date and builds its gold."""

from __future__ import annotations

import click

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch
from pipeline.steps.restore import restore
from schemas.errors import UsageError
from schemas.states import Stage


def run(batch: Batch, options: Options) -> None:
    """Publishes the content of an earlier revision again, as the next revision."""
    dates = batch.requested.days()
    if len(dates) != 1:
        raise UsageError("restore_sales needs one --date, for example --date 2026-11-24")
    restore(batch, dates[0], options.extra["revision"])


JOB = Job(
    "restore_sales",
    "Publishes an earlier revision of a business date again, as the next one, and builds its gold.",
    run,
    [click.option("--revision", type=click.IntRange(min=1), required=True, help="Revision to restore.")],
    stages=[Stage.DAILY_SALES, Stage.INVOICES],
)

if __name__ == "__main__":
    JOB.main()
