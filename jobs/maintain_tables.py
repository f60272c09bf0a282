"""Maintains the tables: small files merged, unreferred ones deleted, logs kept short."""

from __future__ import annotations

import click

from pipeline.cli.job import SAFE_HOURS, Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch, DateRange
from pipeline.steps.maintain import maintain
from schemas.errors import UsageError


def run(batch: Batch, options: Options) -> None:
    """Maintains every table; a file is deleted that no version of the last hours refers to."""
    if batch.requested != DateRange():
        raise UsageError("maintain_tables is of whole tables: it takes no dates")
    maintain(batch, options.extra["retain_hours"])


JOB = Job(
    "maintain_tables",
    "Merges small files, deletes those that no table refers to any more, and keeps the logs short.",
    run,
    [
        click.option(
            "--retain-hours",
            type=click.FloatRange(min=0),
            default=SAFE_HOURS,
            help="Age that a file must have reached; less than 168 takes old versions from readers at work.",
        )
    ],
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
