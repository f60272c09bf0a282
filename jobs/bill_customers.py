"""Bills customers: one invoice per business date, customer and currency."""

from __future__ import annotations

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch
from pipeline.steps.gold import build_gold
from schemas.states import Stage


def run(batch: Batch, _: Options) -> None:
    """Builds the invoices of the requested dates whose sales have a newer revision."""
    build_gold(batch, Stage.INVOICES, batch.requested)


JOB = Job(
    "bill_customers",
    "Makes one invoice per business date, customer and currency.",
    run,
    stages=[Stage.INVOICES],
)

if __name__ == "__main__":
    JOB.main()
