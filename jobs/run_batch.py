"""The nightly batch: ingest, publish, daily totals, invoices."""

from __future__ import annotations

from batch.context import Batch, DateRange
from batch.gold import bill_customers, build_daily_sales
from batch.ingest import ingest
from batch.publish import dates_of_drops, publish
from command.flags import REINGEST, REPUBLISH
from command.job import Job
from command.options import Options


def run(batch: Batch, _: Options) -> None:
    """Ingests the drops asked for, then goes on with every date that is stale, whatever made it so."""
    every_date = DateRange()
    unready = ingest(batch)
    again = dates_of_drops(batch, batch.asked) if batch.republish else set()
    publish(batch, every_date, unready, again)
    build_daily_sales(batch, every_date)
    bill_customers(batch, every_date)


JOB = Job("run_batch", "Ingests, publishes, sums and bills: the whole night.", run, [REINGEST, REPUBLISH])

if __name__ == "__main__":
    JOB.main()
