"""Writes off document numbers whose documents are in no copy of the lake, so that billing can go on."""

from __future__ import annotations

from typing import Any

import click

from pipeline.cli.flags import NUMBERS_OF
from pipeline.cli.job import Job
from pipeline.cli.options import DocumentNumber, Options
from pipeline.cli.result import read_last_numbers
from pipeline.planning.billing import highest_numbers
from pipeline.steps.context import Batch
from pipeline.steps.issue import dates_due
from pipeline.steps.numbers import write_off


def run(batch: Batch, options: Options) -> dict[str, Any]:
    """Records the lost numbers, and says which dates the next issue states in new documents."""
    options.refuse_dates("write_off_numbers works on whole series")
    named = [{series: running} for series, running in options.extra["number"]]
    given = highest_numbers(read_last_numbers(options.extra["numbers_of"], batch.spark), *named)
    spans = list(map(str, write_off(batch, given, options.extra["reason"])))
    if batch.dry_run:
        batch.outcome.planned += [f"write off {span}" for span in spans]
    elif spans:
        batch.outcome.has_changed = True
        due = dates_due(batch)
        batch.outcome.warnings.append(
            f"{', '.join(spans)} are written off: tell the customers who hold these documents that they are "
            f"void; the next issue states {len(due):,} dates in new documents"
            + (f": {', '.join(map(str, list(due)[:5]))}" if due else "")
        )
    return {"written_off": spans}


JOB = Job(
    "write_off_numbers",
    "Records document numbers as lost that were given and whose documents are in no copy of the lake.",
    run,
    [
        NUMBERS_OF,
        click.option(
            "--number",
            type=DocumentNumber(),
            multiple=True,
            help="A document number that was handed out, for example 2026-17; repeatable.",
        ),
        click.option("--reason", required=True, help="Why the documents are lost; kept with the record."),
    ],
)

if __name__ == "__main__":
    JOB.main()
