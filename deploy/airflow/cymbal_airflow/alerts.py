"""Alerts for a failed task, and for a run that misses its deadline."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from cymbal_airflow.settings import Times

_DAY = dt.timedelta(days=1)
_LATE = "{{ dag_run.dag_id }} is late: {{ dag_run.dag_run_id }}"
_FAILED = "{{ ti.dag_id }}.{{ ti.task_id }} failed: {{ run_id }}"


def deadline_alerts(times: Times) -> list[DeadlineAlert]:
    """Returns the alert for the nightly deadline; empty if no deadline is set."""
    if times.deadline is None:
        return []
    # A synchronous callback runs in the executor, which can import the DAGs' modules. The triggerer cannot.
    callback = SyncCallback(tell_late)
    if times.alert_email:
        mail = {"to": times.alert_email, "subject": _LATE, "html_content": "due {{ deadline.deadline_time }}"}
        callback = SyncCallback(SmtpNotifier, kwargs=mail)
    # A run's logical date is the start of its data interval, a day before it is due to start.
    allowed = _DAY + times.deadline
    return [DeadlineAlert(DeadlineReference.DAGRUN_LOGICAL_DATE, allowed, callback, name="night")]


def failure_notifiers(times: Times) -> list[SmtpNotifier]:
    """Returns the mail for a task that failed after its last retry; empty if no address is set."""
    if not times.alert_email:
        return []
    return [SmtpNotifier(to=times.alert_email, subject=_FAILED, html_content="{{ exception | e }}")]


def tell_late(**arguments: Any) -> None:
    """Logs a missed deadline. Airflow calls this with the context of the run and the deadline."""
    context = arguments["context"]
    run, deadline = context["dag_run"], context["deadline"]
    logging.getLogger(__name__).warning(
        "%s is late: %s was due %s", run["dag_id"], run["dag_run_id"], deadline["deadline_time"]
    )
