"""Five nights in a real Airflow, on real Spark: caught up, killed, resumed, held by an audit, backfilled."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from jobs.generate_sales import JOB as GENERATE
from schemas.tables import LEDGER_DATES, RECEIVED_SALES
from tests.deploy.airflow.airflow_server import AirflowServer, Letters, wait_for
from tests.support.landing import write_csv
from tests.support.lines import received_line
from tests.support.tables import table_path, table_versions
from tests.support.truth import differences_from_truth

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1500)]
NIGHT, SENSOR, BATCH = "cymbal_sales", "drop_is_ready", "run_batch"
# The five drops before today: their nights are all due at once, and so are their deadlines.
DATES = [(dt.datetime.now(dt.UTC).date() - dt.timedelta(days=days)).isoformat() for days in range(5, 0, -1)]
THIRD, KILLED, DAMAGED = DATES[2], DATES[3], DATES[4]
# Nothing that an audit would stop but what the story puts there.
GENERATED = ["--rows", "1000", "--formats", "[csv]", "--conflict-share", "0", "--late-resend-share", "0"]
# Small data: time goes into starting and compiling, so that is kept small.
SMALL = (
    "--driver-memory 1g",
    "--conf spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1",
    "--conf spark.sql.shuffle.partitions=2",
    "--conf spark.databricks.delta.snapshotPartitions=1",
)


@dataclass
class Story:
    """Five nights, and what was seen while they went by."""

    folder: Path
    airflow: AirflowServer
    letters: Letters
    sensor_waited: bool = False
    done_after: list[str] = field(default_factory=list)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    def drop(self, date: str) -> Path:
        return self.landing / f"drop_date={date}"

    def tell(self) -> None:
        """Lets the nights go by, and meddles with three of them."""
        held_back = self.drop(THIRD).rename(self.folder / "held_back")
        bad = [received_line(transaction_id=f"B-{n}", quantity="0") for n in range(200)]
        write_csv(self.landing, DAMAGED, bad, name="bad.csv")
        self.list_files(DAMAGED, "bad.csv")
        self.airflow.call("PATCH", f"dags/{NIGHT}", is_paused=False)
        self.sensor_waited = wait_for("a sensor that waits", self._third_waits, 300)
        held_back.rename(self.drop(THIRD))
        wait_for("a driver to kill", self._kill_driver, 400)
        wait_for("the end of the last night", self._is_over, 400)
        self.runs = {run["logical_date"][:10]: run for run in self.airflow.runs(NIGHT)}
        self.done_after = self.done_dates()

    def list_files(self, date: str, *extra: str) -> None:
        """Makes a drop's manifest list the generated files, and further ones."""
        manifest = self.drop(date) / "manifest.json"
        content = json.loads(manifest.read_text())
        generated = [file for file in content["files"] if file["name"].startswith("sales-")]
        content["files"] = [*generated, *({"name": name} for name in extra)]
        manifest.write_text(json.dumps(content))

    def task(self, date: str, task: str = BATCH) -> dict[str, Any]:
        """A task of a night."""
        return self.airflow.task(NIGHT, self.runs[date]["dag_run_id"], task)

    def log(self, date: str, attempt: int, task: str = BATCH) -> str:
        return self.airflow.log(NIGHT, self.runs[date]["dag_run_id"], task, attempt)

    def done_dates(self) -> list[str]:
        """Business dates that the ledger says are done, as often as it says so."""
        path = str(table_path(self.lake, LEDGER_DATES))
        rows = DeltaTable(path).to_pyarrow_table().to_pylist()
        return sorted(row["business_date"].isoformat() for row in rows if row["status"] == "done")

    def _state(self, date: str, task: str) -> str | None:
        runs = [run for run in self.airflow.runs(NIGHT) if run["logical_date"][:10] == date]
        return str(self.airflow.task(NIGHT, runs[0]["dag_run_id"], task)["state"]) if runs else None

    def _third_waits(self) -> bool:
        return self._state(THIRD, SENSOR) == "up_for_reschedule"

    def _kill_driver(self) -> bool:
        """Kills a night's JVM once its drop is in bronze, and nothing of it is published."""
        driver = self._driver()
        if driver is None:
            return False
        before = self._bronze_version()
        wait_for("its commit to bronze", lambda: self._bronze_version() > before, 120)
        driver.kill()
        return True

    def _driver(self) -> psutil.Process | None:
        for process in psutil.process_iter(["name", "cmdline"]):
            line = process.info["cmdline"] or []
            # A first JVM only puts together the command line of the second, the driver.
            is_driver = process.info["name"] == "java" and "org.apache.spark.launcher.Main" not in line
            if is_driver and str(self.lake) in line and KILLED in line:
                return process
        return None

    def _bronze_version(self) -> int:
        return table_versions(self.lake, [RECEIVED_SALES])[RECEIVED_SALES.name]

    def _is_over(self) -> bool:
        states = {run["logical_date"][:10]: run["state"] for run in self.airflow.runs(NIGHT)}
        return states.get(DATES[-1]) in ("success", "failed")


@pytest.fixture(scope="module")
def story(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """All five nights, told once."""
    folder = tmp_path_factory.mktemp("nights")
    made = ["--from", DATES[0], "--to", DATES[-1], "--landing", str(folder / "landing"), *GENERATED]
    assert GENERATE.run(made) == 0
    (folder / "config.yaml").write_text("currencies: [USD, JPY, KWD]\n")
    letters = Letters()
    airflow = AirflowServer(folder / "airflow", _environment(folder, letters))
    (folder / "airflow").mkdir()
    told = Story(folder, airflow, letters)
    try:
        airflow.start()
        airflow.call("POST", "pools", name="lake", slots=1)
        told.tell()
        yield told
    finally:
        airflow.stop()
        letters.shutdown()
        _kill_drivers(folder)


def _environment(folder: Path, letters: Letters) -> dict[str, str]:
    return {
        "CYMBAL_START_DATE": DATES[0],
        "CYMBAL_TIMEZONE": "UTC",
        "CYMBAL_SCHEDULE": "0 0 * * *",
        "CYMBAL_DEADLINE_HOURS": "0.001",
        "CYMBAL_POOL": "lake",
        "CYMBAL_RETRY_SECONDS": "1",
        "CYMBAL_LOOK_SECONDS": "3",
        "CYMBAL_ALERT_EMAIL": "sales@example.com",
        "AIRFLOW_CONN_SMTP_DEFAULT": letters.connection,
        # A Variable goes before the environment.
        "CYMBAL_LANDING": "/nowhere",
        "AIRFLOW_VAR_CYMBAL_LANDING": str(folder / "landing"),
        "CYMBAL_LAKE": str(folder / "lake"),
        "CYMBAL_CONFIG": str(folder / "config.yaml"),
        "CYMBAL_RESULTS": str(folder / "results"),
        "CYMBAL_CORES": "2",
        "CYMBAL_SPARK_ARGS": " ".join(SMALL),
    }


def _kill_drivers(folder: Path) -> None:
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in part for part in process.info["cmdline"] or []):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def test_nights_are_caught_up_in_turn_one_at_a_time(story: Story) -> None:
    runs = [story.runs[date] for date in DATES]
    assert [run["state"] for run in runs] == ["success", "success", "success", "success", "failed"]
    for before, after in itertools.pairwise(runs):
        assert before["end_date"] <= after["start_date"]
    for date in DATES[:3]:
        assert story.task(date)["try_number"] == 1
    assert {*story.done_after} == {*DATES} - {DAMAGED}


def test_a_night_waits_for_its_drop_without_a_slot(story: Story) -> None:
    assert story.sensor_waited
    assert "no such folder" in story.log(THIRD, 1, SENSOR)
    assert story.task(THIRD, SENSOR)["state"] == "success"


def test_the_log_of_a_task_holds_the_summary_and_where_the_result_is(story: Story) -> None:
    log = story.log(DATES[0], 1)
    assert "scripts/submit.sh --place local run_batch --date" in log
    assert "run_batch done, exit code 0; business dates: 1 done" in log
    assert "run_batch: done in " in log
    result = next(line for line in log.splitlines() if line.startswith("result: "))
    assert Path(result.removeprefix("result: ")).is_relative_to(story.folder / "results" / NIGHT)
    assert Path(result.removeprefix("result: ")).exists()


def test_what_an_audit_stopped_fails_at_its_first_try(story: Story) -> None:
    task = story.task(DAMAGED)
    assert (task["state"], task["try_number"]) == ("failed", 1)
    assert "an audit stopped it: run_batch failed, exit code 4" in story.log(DAMAGED, 1)
    assert story.letters.about(f"{NIGHT}.{BATCH} failed: ")


def test_a_killed_driver_is_tried_again_and_resumes(story: Story) -> None:
    task = story.task(KILLED)
    assert (task["state"], task["try_number"]) == ("success", 2)
    assert "a retry may succeed" in story.log(KILLED, 1)
    again = story.log(KILLED, 2)
    assert "run_batch done, exit code 0" in again
    assert story.done_after.count(KILLED) == 1


def test_a_late_night_is_told_by_mail(story: Story) -> None:
    wait_for("a letter a night", lambda: len(story.letters.about(f"{NIGHT} is late: ")) >= len(DATES), 60)


def test_a_backfill_takes_up_a_drop_that_was_delivered_again(story: Story, spark: SparkSession) -> None:
    (story.drop(DAMAGED) / "bad.csv").unlink()
    story.list_files(DAMAGED)
    # While another run holds the lake, a backfill answers 75 and is tried again.
    sign = story.lake / "ledger" / "_running" / "lock.000000000999"
    sign.touch()
    airflow = story.airflow
    airflow.call("PATCH", "dags/cymbal_backfill", is_paused=False)
    requested = {"from": DATES[0], "to": DATES[-1]}
    run = airflow.call("POST", "dags/cymbal_backfill/dagRuns", logical_date=None, conf=requested)[
        "dag_run_id"
    ]

    def task() -> dict[str, Any]:
        return airflow.task("cymbal_backfill", run, "backfill_sales")

    wait_for("a first try", lambda: task()["state"] == "up_for_retry", 120)
    sign.unlink()
    wait_for("the end of the backfill", lambda: task()["state"] in ("success", "failed"), 180)
    assert (task()["state"], task()["try_number"]) == ("success", 2)
    assert "exit code 75" in airflow.log("cymbal_backfill", run, "backfill_sales", 1)
    differences = differences_from_truth(spark, str(story.lake), str(story.folder / "truth.json"))
    # ledger/chunks keeps what each publication of a date came to; the truth tells the last alone.
    assert [told for told in differences if not told.startswith("chunks ")] == []
