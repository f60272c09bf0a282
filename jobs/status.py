"""Tells how far each business date is, and by its exit code whether billing may start; writes nothing."""

from __future__ import annotations

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.report.status import print_status
from pipeline.steps.context import Batch
from pipeline.steps.status import status


def run(batch: Batch, _: Options) -> None:
    """Shows the dates asked for, or the last 14 known."""
    found = status(batch)
    batch.outcome.states = [one.as_json() for one in found]
    print_status(batch.outcome.states)


JOB = Job(
    "status",
    "Tells how far each business date is. Exit code 0: billing may start; 5: not there yet; 4: an audit "
    "holds it; 3: it failed.",
    run,
    records_runs=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
