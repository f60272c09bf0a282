"""What the operator makes of a job's end, and how it calls it: a stand-in for scripts/submit.sh, no Spark."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.deploy.airflow.airflow_server import AIRFLOW, DAGS, ROOT, settings

pytestmark = pytest.mark.airflow
PYTHON = ROOT / "var" / "airflow" / "venv" / "bin" / "python"
RUN = """
import logging, sys, types
from cymbal_airflow.operator import SalesJobOperator
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
task = SalesJobOperator(task_id="night", job="run_batch", arguments=["--date", "2026-03-02"])
ti = types.SimpleNamespace(dag_id="dag", run_id="by:hand", task_id="night")
try:
    print("ended", task.execute({"ti": ti}))
except Exception as error:
    print("ended", type(error).__name__, error)
"""
STAND_IN = """#!/bin/sh
echo "called: $* with master $CYMBAL_MASTER and $CYMBAL_SPARK_ARGS"
echo "runs as driver-20260302000000-0001"
result=$(for last; do :; done; echo "$last")
mkdir -p "$(dirname "$result")"
[ -z "$RESULT" ] || echo "$RESULT" >"$result"
exit "$CODE"
"""


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    subprocess.run([str(AIRFLOW), "version"], check=True, timeout=1500, stdout=subprocess.DEVNULL)


def run(home: Path, code: int, result: int | None, **environment: str) -> str:
    """Runs a task whose command ends with a code, its result telling another or none; what it logged."""
    (home / "scripts").mkdir()
    stand_in = home / "scripts" / "submit.sh"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    left = {"run_id": "r", "job": "run_batch", "status": "s", "exit_code": result, "dates": [], "error": None}
    told = {"CODE": str(code), "RESULT": "" if result is None else json.dumps(left)}
    ran = subprocess.run(
        [str(PYTHON), "-c", RUN],
        env=settings(home, CYMBAL_HOME=str(home), PYTHONPATH=str(DAGS), **told, **environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize(
    ("code", "result", "ended"),
    [
        (0, 0, "{'result': "),
        (1, 0, "{'result': "),  # spark-submit stumbled after the run's last act
        (1, 1, "AirflowException"),
        (1, 4, "AirflowFailException an audit stopped it"),  # a cluster's own exit code
        (2, None, "AirflowFailException the command or the config is wrong"),
        (3, 3, "AirflowFailException some dates failed"),
        (5, 5, "AirflowFailException the input is not there"),
        (75, 75, "AirflowException"),
        (137, None, "AirflowException"),
    ],
)
def test_the_exit_code_decides_whether_a_task_is_tried_again(
    tmp_path: Path, code: int, result: int | None, ended: str
) -> None:
    assert f"ended {ended}" in run(tmp_path, code, result)


@pytest.mark.parametrize(
    ("place", "connection", "called"),
    [
        ("local", None, "--place local run_batch --date 2026-03-02 "),
        ("standalone", "spark://host:7077", "--place standalone run_batch "),
        (
            "standalone",
            "spark://host:7077?deploy-mode=cluster",
            "--place standalone --deploy-mode cluster run_batch ",
        ),
        ("yarn", "spark://yarn?deploy-mode=cluster", "--place yarn --deploy-mode cluster run_batch "),
    ],
)
def test_the_connection_says_the_master_and_the_deploy_mode(
    tmp_path: Path, place: str, connection: str | None, called: str
) -> None:
    told = {"AIRFLOW_CONN_SPARK_DEFAULT": connection} if connection else {}
    said = run(tmp_path, 0, 0, CYMBAL_PLACE=place, CYMBAL_SPARK_ARGS="--driver-memory 1g", **told)
    assert f"called: {called}" in said
    assert "ended {'result': " in said
    master = "spark://host:7077" if place == "standalone" else place
    assert f"with master {master} and --driver-memory 1g" in said
