"""The sales batch in Airflow: each night, a backfill by hand, and the tables' weekly maintenance.

docs/airflow.md tells how to set it up, and what becomes of each exit code.
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
# A drop is of the day, in the stores' time zone, on which its data interval starts: {{ ds }} would be UTC's.
DROP_DATE = "{{ params.drop_date or data_interval_start.in_timezone('" + TIMES.zone + "').to_date_string() }}"
DEFAULTS = {
    "pool": TIMES.pool,
    "retries": 4,
    "retry_delay": TIMES.retry_delay,
    "execution_timeout": dt.timedelta(hours=12),
    "on_failure_callback": failure_notifiers(TIMES),
}


def job(name: str, *arguments: str, **more: Any) -> SalesJobOperator:
    """A task that runs a job, called by the job's name."""
    return SalesJobOperator(task_id=name, job=name, arguments=arguments, **more)


with DAG(
    "cymbal_sales",
    description="Each night the drop of the day before: ingested, published, summed, billed.",
    schedule=CronDataIntervalTimetable(TIMES.nightly, timezone=TIMES.zone),
    start_date=TIMES.start,
    catchup=True,
    max_active_runs=1,  # a lake takes one publishing run at a time; a second would end with 75
    deadline=deadline_alerts(TIMES),
    default_args=DEFAULTS,
    params={
        "drop_date": Param(
            None,
            type=["null", "string"],
            format="date",
            description="Drop date; without it the day on which the data interval starts, if there is one.",
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
        pool="default_pool",  # it must not take the one slot of the lake
    )
    if TIMES.by_stage:
        # Only the ingest is of a drop; what follows does every business date that is stale.
        chain(
            drop_is_ready,
            job("ingest_sales", "--date", DROP_DATE),
            job("publish_sales"),
            job("build_daily_sales"),
            job("bill_customers"),
        )
    else:
        chain(drop_is_ready, job("run_batch", "--date", DROP_DATE))

with DAG(
    "cymbal_backfill",
    description="Years of drops, or drops that were delivered again, in few passes; by hand.",
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
    description="Small files merged, unused ones deleted, logs kept short; never beside a run.",
    schedule=CronDataIntervalTimetable(TIMES.weekly, timezone=TIMES.zone),
    start_date=TIMES.start,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    doc_md=__doc__,
):
    # It answers 75 while a run is at work, and is then tried again, for hours.
    job("maintain_tables", retries=24, retry_delay=max(TIMES.retry_delay, dt.timedelta(minutes=10)))
