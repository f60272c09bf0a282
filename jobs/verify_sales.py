"""Verifies published dates from the tables alone: each line is accounted for, no key is published twice."""

from __future__ import annotations

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.report.verification import print_verification
from pipeline.steps.context import Batch
from pipeline.steps.verify import verify


def run(batch: Batch, _: Options) -> None:
    """Verifies the requested dates and prints the findings."""
    print_verification(verify(batch, batch.requested))


JOB = Job(
    "verify_sales",
    "Verifies published dates from the tables: lines are accounted for, keys are unique, gold sums up.",
    run,
    records_runs=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
