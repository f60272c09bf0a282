"""Sums published sales by day, store and category, and by week and product."""

from __future__ import annotations

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch
from pipeline.steps.gold import build_gold
from schemas.states import Stage


def run(batch: Batch, _: Options) -> None:
    """Builds the sales totals of the requested dates whose sales have a newer revision."""
    build_gold(batch, Stage.DAILY_SALES, batch.requested)


JOB = Job(
    "build_daily_sales",
    "Sums published sales by day, store and category, and by week and product.",
    run,
    stages=[Stage.DAILY_SALES],
)

if __name__ == "__main__":
    JOB.main()
