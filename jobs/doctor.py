"""Looks a place over before a run: what is wrong, and what to do about it; 0 or 2."""

from __future__ import annotations

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.report.doctor import print_findings
from pipeline.steps.context import Batch
from pipeline.steps.doctor import examine


def run(batch: Batch, _: Options) -> None:
    """Checks Java, Spark, Delta, settings, executors, time zone, landing, lake, clock, disk and log store."""
    batch.outcome.checks = [finding.as_json() for finding in examine(batch)]
    print_findings(batch.outcome.checks)


JOB = Job(
    "doctor",
    "Looks a place over before a run and says what to do. Exit code 0: it can run; 2: it cannot.",
    run,
    records_runs=False,
    needs_settled_lake=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
