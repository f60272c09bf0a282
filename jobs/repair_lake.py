"""Repairs a damaged lake from its accepted deliveries, date by date."""

from __future__ import annotations

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch
from pipeline.steps.repair import repair
from schemas.states import Stage


def run(batch: Batch, options: Options) -> dict[str, list[str]]:
    """Corrects the ledger, and publishes and builds dates again that differ from what bronze gives."""
    options.refuse_dates("repair_lake works on the whole lake")
    actions = repair(batch)
    batch.outcome.has_changed = bool(actions)
    if batch.dry_run:
        batch.outcome.planned += actions
    return {"repaired": actions}


JOB = Job(
    "repair_lake",
    "Makes a damaged lake equal to what its accepted deliveries give, and says per date what it did.",
    run,
    needs_settled_lake=False,
    stages=[Stage.PUBLISH, Stage.DAILY_SALES, Stage.INVOICES],
)

if __name__ == "__main__":
    JOB.main()
