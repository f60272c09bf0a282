"""Verifies published dates from the tables alone: every line accounted for, no key published twice."""

from __future__ import annotations

from batch.context import Batch
from batch.verify import verify
from command.job import Job
from command.options import Options
from report.verification import print_verification


def run(batch: Batch, _: Options) -> None:
    """Proves reconciliation and uniqueness of the dates asked for again."""
    print_verification(verify(batch, batch.asked))


JOB = Job(
    "verify_sales",
    "Proves reconciliation and uniqueness again, from the tables alone.",
    run,
    keeps_ledger=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
