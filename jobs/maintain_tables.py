"""Maintains the tables: merges small files, deletes unreferenced files and cleans up the logs."""

from __future__ import annotations

import click

from pipeline.cli.job import SAFE_HOURS, Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch
from pipeline.steps.maintain import Counts, maintain


def run(batch: Batch, options: Options) -> Counts:
    """Maintains every table. Deletes files that no version of the last --retain-hours refers to."""
    options.refuse_dates("maintain_tables works on whole tables")
    return maintain(batch, options.extra["retain_hours"])


JOB = Job(
    "maintain_tables",
    "Merges small files, deletes files that no table refers to, and cleans up the logs.",
    run,
    [
        click.option(
            "--retain-hours",
            type=click.FloatRange(min=0),
            default=SAFE_HOURS,
            help="Age in hours at which a file may be deleted; less than 168 can break running readers.",
        )
    ],
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
