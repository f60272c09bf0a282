"""Verifies published dates from the tables alone: every line accounted for, no key published twice."""

from __future__ import annotations

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.report.verification import print_verification
from pipeline.steps.context import Batch
from pipeline.steps.verify import verify


def run(batch: Batch, _: Options) -> None:
    """Proves reconciliation and uniqueness of the dates asked for again."""
    print_verification(verify(batch, batch.requested))


JOB = Job(
    "verify_sales",
    "Proves reconciliation and uniqueness again, from the tables alone.",
    run,
    records_runs=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
