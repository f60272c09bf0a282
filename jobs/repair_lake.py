"""Brings a damaged lake back to the laws: from bronze and the landing, date by date."""

from __future__ import annotations

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch, DateRange
from pipeline.steps.repair import repair
from schemas.errors import UsageError
from schemas.states import Stage


def run(batch: Batch, _: Options) -> None:
    """Tells the ledger anew, and publishes and builds dates again that do not hold what bronze gives."""
    if batch.requested != DateRange():
        raise UsageError("repair_lake is of the whole lake: it takes no dates")
    batch.outcome.repaired = repair(batch)
    batch.outcome.planned += batch.outcome.repaired if batch.dry_run else []


JOB = Job(
    "repair_lake",
    "Brings a lake back to what its accepted deliveries give, and says what it did, date by date.",
    run,
    needs_settled_lake=False,
    stages=[Stage.PUBLISH, Stage.DAILY_SALES, Stage.INVOICES],
)

if __name__ == "__main__":
    JOB.main()
