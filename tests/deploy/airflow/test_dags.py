"""The DAGs as Airflow reads them: no database, no scheduler, no Variable."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.airflow.airflow_server import AIRFLOW, DAGS, ROOT, settings

pytestmark = pytest.mark.airflow
PYTHON = ROOT / "var" / "airflow" / "venv" / "bin" / "python"
# Run by Airflow's own Python: what the DAG file makes, as plain values.
READ = """
import json, sys
from airflow.dag_processing.dagbag import DagBag

def task(of):
    return {
        "retries": of.retries,
        "retry_delay": of.retry_delay.total_seconds(),
        "pool": of.pool,
        "after": sorted(of.upstream_task_ids),
        "mode": getattr(of, "mode", None),
        "arguments": getattr(of, "application_args", None),
        "bases": [base.__name__ for base in type(of).mro()],
        "mails": len(of.on_failure_callback),
    }

def deadline(of):
    return [of.reference.reference_name, of.interval.total_seconds(), of.callback.path]

def dag(of):
    return {
        "catchup": of.catchup,
        "max_active_runs": of.max_active_runs,
        "start": str(of.start_date),
        "deadlines": [deadline(one) for one in of.deadline or []],
        "tasks": {one.task_id: task(one) for one in of.tasks},
    }

bag = DagBag("deploy/airflow")
print(json.dumps({"dags": {one.dag_id: dag(one) for one in bag.dags.values()}, "errors": bag.import_errors}))
"""


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    subprocess.run([str(AIRFLOW), "version"], check=True, timeout=1500, stdout=subprocess.DEVNULL)


def read(home: Path, **environment: str) -> dict[str, Any]:
    """Reads the folder of the DAGs with a database that is not there."""
    told = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////nowhere/airflow.db",
        "PYTHONPATH": str(DAGS),
    }
    ran = subprocess.run(
        [str(PYTHON), "-c", READ],
        env=settings(home, **told, **environment),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def dags(home: Path, **environment: str) -> dict[str, Any]:
    found = read(home, **environment)
    assert not found["errors"]
    return dict(found["dags"])


def test_a_night_waits_for_its_drop_and_is_one_run_at_a_time_each_day_in_turn(tmp_path: Path) -> None:
    found = dags(tmp_path, CYMBAL_POOL="lake")
    assert set(found) == {"cymbal_sales", "cymbal_backfill", "cymbal_maintenance"}
    night = found["cymbal_sales"]
    assert night["catchup"] is True
    assert night["max_active_runs"] == 1
    assert night["start"] == "2026-03-02 05:00:00+00:00", "midnight of the first drop, in New York"
    assert night["deadlines"] == []
    sensor, batch = night["tasks"]["drop_is_ready"], night["tasks"]["run_batch"]
    assert (sensor["mode"], sensor["after"], sensor["pool"]) == ("reschedule", [], "default_pool")
    assert (batch["after"], batch["pool"], batch["retries"]) == (["drop_is_ready"], "lake", 4)
    assert batch["retry_delay"] > 120, "a killed run's sign of life counts that long"
    assert batch["arguments"][0] == "--date"
    assert "America/New_York" in batch["arguments"][1]
    assert "SparkSubmitOperator" in batch["bases"]


def test_each_stage_can_be_a_task(tmp_path: Path) -> None:
    tasks = dags(tmp_path, CYMBAL_TASKS="stages")["cymbal_sales"]["tasks"]
    assert {name: task["after"] for name, task in tasks.items()} == {
        "drop_is_ready": [],
        "ingest_sales": ["drop_is_ready"],
        "publish_sales": ["ingest_sales"],
        "build_daily_sales": ["publish_sales"],
        "bill_customers": ["build_daily_sales"],
        "issue_invoices": ["bill_customers"],
    }
    assert tasks["ingest_sales"]["arguments"][0] == "--date"
    assert tasks["publish_sales"]["arguments"] == []


def test_maintenance_is_tried_again_for_hours_and_never_caught_up(tmp_path: Path) -> None:
    maintenance = dags(tmp_path)["cymbal_maintenance"]
    assert (maintenance["catchup"], maintenance["max_active_runs"]) == (False, 1)
    task = maintenance["tasks"]["maintain_tables"]
    assert task["retries"] * task["retry_delay"] >= 4 * 3600


def test_a_deadline_counts_from_the_hour_a_night_is_due_to_start(tmp_path: Path) -> None:
    told = {"CYMBAL_DEADLINE_HOURS": "4", "CYMBAL_ALERT_EMAIL": "sales@example.com"}
    night = dags(tmp_path, **told)["cymbal_sales"]
    notifier = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
    assert night["deadlines"] == [["DagRunLogicalDateDeadline", 28 * 3600.0, notifier]]
    assert night["tasks"]["run_batch"]["mails"] == 1
    logged = dags(tmp_path, CYMBAL_DEADLINE_HOURS="4")["cymbal_sales"]["deadlines"]
    assert logged[0][2] == "cymbal_airflow.alerts.tell_late"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CYMBAL_START_DATE", "", "the first drop date to process is needed, for example 2026-11-27"),
        ("CYMBAL_TASKS", "four", "one of run_batch, stages"),
        ("CYMBAL_DEADLINE_HOURS", "06:00", "a number of at least 0 is needed"),
    ],
)
def test_a_wrong_setting_is_an_import_error_that_names_it(
    tmp_path: Path, name: str, value: str, said: str
) -> None:
    found = read(tmp_path, **{name: value})
    assert not found["dags"]
    assert f"ValueError: {name}={value}: {said}" in "".join(found["errors"].values())


def test_the_types_of_the_dags_hold(tmp_path: Path) -> None:
    ran = subprocess.run(
        [
            str(ROOT / ".venv" / "bin" / "mypy"),
            "--config-file",
            str(ROOT / "pyproject.toml"),
            "--python-executable",
            str(PYTHON),
            "--cache-dir",
            str(ROOT / ".mypy_cache" / "airflow"),
            "--follow-imports",
            "silent",
            ".",
        ],
        env=settings(tmp_path, MYPYPATH="."),
        cwd=DAGS,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
