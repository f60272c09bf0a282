"""The sales batch in Airflow: the nightly run, a manual backfill, and the weekly maintenance of the tables.

docs/how-to/schedule-with-airflow-or-cron.md explains the set-up and the effect of each exit code.
"""

from __future__ import annotations

import datetime as dt
import os
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, chain
from cymbal_airflow.alerts import deadline_alerts, failure_notifiers
from cymbal_airflow.operator import SalesJobOperator
from cymbal_airflow.sensor import DropReadySensor
from cymbal_airflow.settings import Times

TIMES = Times.of(os.environ)
# The drop date is the day on which the data interval starts, in the stores' time zone. {{ ds }} would be UTC.
DROP_DATE = "{{ params.drop_date or data_interval_start.in_timezone('" + TIMES.zone + "').to_date_string() }}"
DEFAULTS = {
    "pool": TIMES.pool,
    "retries": 4,
    "retry_delay": TIMES.retry_delay,
    "execution_timeout": dt.timedelta(hours=12),
    "on_failure_callback": failure_notifiers(TIMES),
}


def job(name: str, *arguments: str, **operator_arguments: Any) -> SalesJobOperator:
    """Returns a task that runs a job and has the job's name."""
    return SalesJobOperator(task_id=name, job=name, arguments=arguments, **operator_arguments)


with DAG(
    "cymbal_sales",
    description="Each night: ingests, publishes, totals and bills the drop of the day before.",
    schedule=CronDataIntervalTimetable(TIMES.nightly, timezone=TIMES.zone),
    start_date=TIMES.start,
    catchup=True,
    max_active_runs=1,  # only one run at a time may write to a lake; a second would end with 75
    deadline=deadline_alerts(TIMES),
    default_args=DEFAULTS,
    params={
        "drop_date": Param(
            None,
            type=["null", "string"],
            format="date",
            description="Drop date. Default: the day on which the data interval starts, if the run has one.",
        )
    },
    doc_md=__doc__,
):
    drop_is_ready = DropReadySensor(
        task_id="drop_is_ready",
        drop_date=DROP_DATE,
        mode="reschedule",
        poke_interval=TIMES.look_every.total_seconds(),
        timeout=TIMES.wait_at_most.total_seconds(),
        pool="default_pool",  # waiting must not take the lake's only slot
    )
    if TIMES.by_stage:
        # Only the ingest takes a drop date. The later stages process every stale business date.
        chain(
            drop_is_ready,
            job("ingest_sales", "--date", DROP_DATE),
            job("publish_sales"),
            job("build_daily_sales"),
            job("bill_customers"),
            job("issue_invoices"),
        )
    else:
        chain(drop_is_ready, job("run_batch", "--date", DROP_DATE))

with DAG(
    "cymbal_backfill",
    description="By hand: ingests years of drops, or drops that were delivered again, in few passes.",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params={
        "from": Param(type="string", format="date", description="First drop date."),
        "to": Param(type="string", format="date", description="Last drop date."),
    },
    doc_md=__doc__,
):
    job("backfill_sales", "--from", "{{ params['from'] }}", "--to", "{{ params['to'] }}")

with DAG(
    "cymbal_maintenance",
    description="Merges small files, deletes unused ones and trims logs; never during a run.",
    schedule=CronDataIntervalTimetable(TIMES.weekly, timezone=TIMES.zone),
    start_date=TIMES.start,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    doc_md=__doc__,
):
    # The job ends with 75 while another run works, so it is retried for hours.
    job("maintain_tables", retries=24, retry_delay=max(TIMES.retry_delay, dt.timedelta(minutes=10)))
