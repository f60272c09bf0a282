"""Builds daily totals by store, category and currency from business dates that are done."""

from __future__ import annotations

from pipeline.cli.job import Job
from pipeline.cli.options import Options
from pipeline.steps.context import Batch
from pipeline.steps.gold import build_daily_sales
from schemas.states import Stage


def run(batch: Batch, _: Options) -> None:
    """Builds gold/daily_sales of the dates asked for whose sales have a newer revision."""
    build_daily_sales(batch, batch.requested)


JOB = Job(
    "build_daily_sales", "Sums daily sales by store, category and currency.", run, stages=[Stage.DAILY_SALES]
)

if __name__ == "__main__":
    JOB.main()
