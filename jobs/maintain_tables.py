"""Maintains the tables: deletes files that nothing refers to, never beside another run."""

from __future__ import annotations

import click

from batch.context import Batch, DateRange
from batch.maintain import maintain
from command.job import Job
from command.options import Options
from schemas.errors import UsageError

# Delta's own: what it takes as safe for readers and writers that it knows nothing of.
_SAFE_HOURS = 168.0


def run(batch: Batch, options: Options) -> None:
    """Deletes the files of every table that no version of the last hours refers to."""
    if batch.asked != DateRange():
        raise UsageError("maintain_tables is of whole tables: it takes no dates")
    maintain(batch, options.more["retain_hours"])


JOB = Job(
    "maintain_tables",
    "Deletes files that no table refers to any more: replaced ones, and what crashed runs left.",
    run,
    [
        click.option(
            "--retain-hours",
            type=click.FloatRange(min=0),
            default=_SAFE_HOURS,
            help="Age that a file must have reached; less than 168 takes old versions from readers at work.",
        )
    ],
    is_exclusive=True,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
