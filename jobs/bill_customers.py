"""Builds the statements: what each customer owes per business date and currency."""

from __future__ import annotations

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch
from pipeline.steps.gold import build_gold
from schemas.states import Stage


def run(batch: Batch, _: Options) -> None:
    """Builds the statements of the requested dates whose sales have a newer revision."""
    build_gold(batch, Stage.INVOICES, batch.requested)


JOB = Job(
    "bill_customers",
    "Builds one statement per business date, customer and currency.",
    run,
    stages=[Stage.INVOICES],
)

if __name__ == "__main__":
    JOB.main()
