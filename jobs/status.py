"""Shows how far each business date is. The exit code says whether billing may start. Writes nothing."""

from __future__ import annotations

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.report.status import print_status
from pipeline.steps.context import Batch
from pipeline.steps.status import status


def run(batch: Batch, _: Options) -> None:
    """Shows the requested dates, or the last 14 known."""
    batch.outcome.states = [date.as_json() for date in status(batch)]
    print_status(batch.outcome.states)


JOB = Job(
    "status",
    "Shows how far each business date is. Exit code 0: billing may start; 5: a date is not ready; 4: an "
    "audit holds one back; 3: one failed.",
    run,
    records_runs=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
