"""A run whose driver is elsewhere: its own exit code and result come back, whatever spark-submit says."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.settings import load_settings
from scripts.submission.cluster_run import run_on_cluster, sql_files
from scripts.submission.request import ROOT, Request, SubmissionError, read_request
from tests.support.receiver import receiving

# Stands for spark-submit: finds where the driver is to put its result, puts one there, and ends with 1, as a
# cluster does whatever the driver's code was.
SPARK_SUBMIT = """#!/bin/sh
printf '%s\\n' "$@" > {folder}/arguments
while [ $# -gt 1 ]; do
    [ "$1" = --result ] && result=$2
    shift
done
[ -f {folder}/result.json ] && mkdir -p "$(dirname "$result")" && cp {folder}/result.json "$result"
exit {code}
"""


def empty_result(exit_code: int) -> dict[str, Any]:
    lists = (
        "drops",
        "dates",
        "chunks",
        "stages",
        "checks",
        "states",
        "replayed",
        "drill",
        "planned",
        "documents",
        "warnings",
    )
    mappings = ("totals", "rejected", "built", "removed", "freed_bytes", "merged")
    return {
        "run_id": "r1",
        "job": "run_batch",
        "status": "failed",
        "exit_code": exit_code,
        "error": "why",
        "run_again": None,
        "page": None,
        "comparison": None,
        "unchanged_drops": 0,
        **{name: [] for name in lists},
        **{name: {} for name in mappings},
    }


class Cluster:
    """A place of cluster mode with a spark-submit of the test's own."""

    def __init__(self, folder: Path, code: int) -> None:
        self.folder = folder
        program = folder / "bin" / "spark-submit"
        program.parent.mkdir()
        program.write_text(SPARK_SUBMIT.format(folder=folder, code=code))
        program.chmod(0o755)
        jars = folder / "jars"
        jars.mkdir()
        home = next((ROOT / ".venv" / "lib").glob("python3*/site-packages/pyspark"))
        (jars / "spark-launcher_2.13-4.jar").symlink_to(next((home / "jars").glob("spark-launcher_*.jar")))

    def request(self, *arguments: str, place: str = "standalone", **variables: str) -> Request:
        read = read_request(
            ["--place", place, "--master", "m", "--deploy-mode", "cluster", "run_batch", *arguments]
        )
        own = {
            "SPARK_HOME": str(self.folder),
            "JAVA_HOME": "/java",
            "CYMBAL_PID": "7",
            "CYMBAL_STAGING": str(self.folder / "staging"),
            "CYMBAL_LOG_FILE": str(self.folder / "log" / "spark.log"),
            **variables,
        }
        return Request(**{**vars(read), "environment": own})

    def leaves(self, exit_code: int) -> None:
        (self.folder / "result.json").write_text(json.dumps(empty_result(exit_code)))

    @property
    def arguments(self) -> list[str]:
        return (self.folder / "arguments").read_text().splitlines()


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, code=1)


@pytest.mark.parametrize("code", [0, 3, 4, 5, 75])
def test_the_exit_code_is_that_of_the_result(cluster: Cluster, code: int) -> None:
    cluster.leaves(code)
    assert run_on_cluster(cluster.request()) == code


def test_the_summary_is_told_here(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.leaves(4)
    run_on_cluster(cluster.request())
    told = capsys.readouterr()
    assert "run_batch: failed in" in told.out
    assert "exit code 4, run r1" in told.out
    assert "error: run_batch: why" in told.err


def test_no_result_is_told_with_where_to_look(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    log = cluster.folder / "log" / "spark.log"
    log.parent.mkdir()
    log.write_text("INFO Client: Submitted application application_1700000000000_0042\n")
    assert run_on_cluster(cluster.request()) == 1
    told = capsys.readouterr().err
    assert "the driver left no result (spark-submit ended with 1)" in told
    assert "application_1700000000000_0042" in told
    assert str(log) in told


def test_the_messages_of_a_driver_elsewhere_are_sent_from_here(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    notice = {"kind": "failed", "title": "run_batch failed: date 2026-03-02", "text": "why"}
    with receiving("secret") as receiver:
        monkeypatch.setenv("CYMBAL_NOTIFY", receiver.address)
        (cluster.folder / "result.json").write_text(json.dumps({**empty_result(3), "notices": [notice]}))
        assert run_on_cluster(cluster.request()) == 3
        assert [message["title"] for message in receiver.take()] == [notice["title"]]
        (cluster.folder / "result.json").unlink()
        assert run_on_cluster(cluster.request("--result", str(cluster.folder / "other.json"))) == 1
        (message,) = receiver.take()
        assert message["title"].startswith("run_batch failed: the driver left no result")


def test_told_to_end_it_waits_no_longer_and_leaves_no_process_behind(cluster: Cluster) -> None:
    program = cluster.folder / "bin" / "spark-submit"
    program.write_text(f"#!/bin/sh\necho $$ > {cluster.folder}/pid\nexec sleep 600\n")
    submit = [sys.executable, "-P", "-m", "scripts.submission", "--place", "standalone", "--master", "m"]
    waiting = subprocess.Popen(
        [*submit, "--deploy-mode", "cluster", "run_batch"],
        env={**os.environ, **cluster.request().environment, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    pid = int(eventually((cluster.folder / "pid").read_text))
    waiting.terminate()
    _, said = waiting.communicate(timeout=60)
    assert "stopped waiting; the driver keeps running" in said
    assert waiting.returncode != 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def eventually(look: Callable[[], str]) -> str:
    """What a look finds, once it finds something."""
    for _ in range(600):
        with contextlib.suppress(OSError):
            if found := look():
                return found
        time.sleep(0.1)
    raise AssertionError("nothing in 60 s")


def test_a_result_that_is_cut_off_is_no_result(cluster: Cluster) -> None:
    (cluster.folder / "result.json").write_text('{"exit_code": 0')
    assert run_on_cluster(cluster.request()) == 1


def test_the_result_is_left_where_it_is_wanted(cluster: Cluster) -> None:
    cluster.leaves(0)
    wanted = cluster.folder / "mine" / "result.json"
    run_on_cluster(cluster.request("--result", str(wanted)))
    assert json.loads(wanted.read_text())["run_id"] == "r1"


@pytest.mark.parametrize("is_uri", [False, True])
def test_a_result_of_an_earlier_run_is_not_taken_for_this_one_s(cluster: Cluster, is_uri: bool) -> None:
    wanted = cluster.folder / "my result.json"
    wanted.write_text(json.dumps(empty_result(0)))
    # No driver starts, so none removes it.
    assert run_on_cluster(cluster.request("--result", wanted.as_uri() if is_uri else str(wanted))) == 1
    assert not wanted.exists()


def test_a_storage_that_keeps_an_earlier_result_ends_the_run(cluster: Cluster) -> None:
    shell = cluster.folder / "bin" / "spark-class"
    shell.write_text(f'#!/bin/sh\necho "$@" > {cluster.folder}/shell\necho "rm: denied" >&2\nexit 1\n')
    shell.chmod(0o755)
    with pytest.raises(SubmissionError, match=r"hdfs://h/one\.json: cannot be removed: rm: denied"):
        run_on_cluster(cluster.request("--result", "hdfs://h/one.json"))
    assert (cluster.folder / "shell").read_text().split()[-4:] == [
        "-rm",
        "-f",
        "-skipTrash",
        "hdfs://h/one.json",
    ]
    assert not (cluster.folder / "arguments").exists()


def test_a_wrong_argument_costs_no_submission(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_on_cluster(cluster.request("--date", "tomorrow")) == 2
    assert run_on_cluster(cluster.request("--set", "late.day=3")) == 2
    assert "did you mean 'late.days'?" in capsys.readouterr().err
    assert not (cluster.folder / "arguments").exists()


def test_a_config_is_told_by_a_path_that_the_driver_can_open(cluster: Cluster, tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("late: {days: 3}\n")
    cluster.leaves(0)
    run_on_cluster(cluster.request(f"--config={config}"))
    assert cluster.arguments[cluster.arguments.index("--config") + 1] == str(config)


def test_the_sql_files_of_a_config_go_with_it(tmp_path: Path) -> None:
    table = "{{sql: {}, period: day, keys: [business_date]}}"
    (tmp_path / "gold").mkdir()
    for name in ("gold/a.sql", "b.sql", "a.sql"):
        (tmp_path / name).write_text("select business_date, count(*) as lines from sales group by 1")
    config = tmp_path / "mine.yaml"
    config.write_text(f"gold: {{a: {table.format('gold/a.sql')}, b: {table.format('b.sql')}, c: null}}")
    assert sql_files(config) == [tmp_path / "gold" / "a.sql", tmp_path / "b.sql"]
    # There they lie beside the config, so two of one name would be one.
    sent = tmp_path / "sent"
    sent.mkdir()
    for file in (config, *sql_files(config)):
        (sent / file.name).write_text(file.read_text())
    assert load_settings(str(sent / "mine.yaml"), [], {}).digest == load_settings(str(config), [], {}).digest
    config.write_text(f"gold: {{a: {table.format('gold/a.sql')}, b: {table.format('a.sql')}}}")
    with pytest.raises(SubmissionError, match=r"gold names several files 'a\.sql'"):
        sql_files(config)


def test_print_tells_the_line_and_runs_nothing(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    request = cluster.request()
    assert run_on_cluster(Request(**{**vars(request), "only_print": True})) == 0
    assert "org.apache.spark.deploy.PythonRunner" in capsys.readouterr().out
    assert not (cluster.folder / "arguments").exists()


def test_where_the_driver_shares_no_disk_a_staging_folder_is_needed(cluster: Cluster) -> None:
    with pytest.raises(SubmissionError, match="cluster mode needs CYMBAL_STAGING"):
        run_on_cluster(cluster.request(place="yarn"))


def test_a_job_that_starts_runs_goes_in_client_mode_only(cluster: Cluster) -> None:
    request = cluster.request()
    with pytest.raises(SubmissionError, match="drill works only in client mode"):
        run_on_cluster(Request(**{**vars(request), "job": "drill"}))


def test_the_folder_of_a_page_is_one_that_the_driver_finds(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On standalone the hosts share the path; elsewhere only a URI leads to the same place."""
    cluster.leaves(0)
    monkeypatch.chdir(tmp_path)
    run_on_cluster(cluster.request("--report=pages"))
    at = cluster.arguments.index("--report")
    assert cluster.arguments[at + 1] == str(tmp_path / "pages")
    run_on_cluster(cluster.request("--report", "hdfs://h/pages"))
    assert "hdfs://h/pages" in cluster.arguments
    with pytest.raises(SubmissionError, match="--report pages: in cluster mode it must be a URI"):
        run_on_cluster(cluster.request("--report", "pages", place="yarn", CYMBAL_STAGING="hdfs://h/staging"))
