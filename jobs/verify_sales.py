"""Verifies published dates from the tables alone: each line is accounted for, no key is published twice."""

from __future__ import annotations

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.report.streams import output
from pipeline.steps.context import Batch
from pipeline.steps.verify import Verification, verify


def run(batch: Batch, _: Options) -> None:
    """Verifies the requested dates and prints the findings."""
    _print_verification(verify(batch, batch.requested))


def _print_verification(verification: Verification) -> None:
    """Prints how much was verified and what deserves a look. Problems are reported as the run's errors."""
    console = output()
    dates = verification.dates
    if dates:
        state = "hold" if not verification.problems else "do NOT hold"
        console.print(
            f"{len(dates)} dates from {dates[0]} to {dates[-1]}: every line, unique keys, "
            f"reconciliation, gold totals and documents {state}"
        )
    else:
        console.print("no published date to verify")
    if verification.stale:
        console.print(f"not verified, waiting to be published: {', '.join(map(str, verification.stale))}")
    if verification.not_issued:
        count = len(verification.not_issued)
        console.print(f"{count} of these dates have a newer revision than their documents, or no documents")
    for line in verification.written_off:
        console.print(f"document numbers written off: {line}", markup=False)
    for line in verification.reused_numbers:
        console.print(f"the same numbers on several sale dates: {line}", markup=False)


JOB = Job(
    "verify_sales",
    "Verifies published dates from the tables: lines are accounted for, keys are unique, gold and documents "
    "add up.",
    run,
    records_runs=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
