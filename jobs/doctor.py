"""Checks a place before a run, and says how to fix each problem. Ends with 0 or 2."""

from __future__ import annotations

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.report.doctor import print_findings
from pipeline.steps.context import Batch
from pipeline.steps.doctor import examine


def run(batch: Batch, _: Options) -> None:
    """Runs all checks of the place and prints their findings."""
    batch.outcome.checks = [finding.as_json() for finding in examine(batch)]
    print_findings(batch.outcome.checks)


JOB = Job(
    "doctor",
    "Checks a place before a run and says how to fix each problem. Exit code 0: ready; 2: a problem.",
    run,
    records_runs=False,
    needs_settled_lake=False,
    can_be_unchanged=False,
)

if __name__ == "__main__":
    JOB.main()
