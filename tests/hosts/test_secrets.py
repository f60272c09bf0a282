"""Secrets that a run is given: nothing that it leaves, prints or shows to other users holds one of them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from schemas.tables import LEDGER_RUNS
from tests.hosts.host import DATE, ROOT, Ended, land, published
from tests.support.receiver import receiving

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

# Each stands for one source, so that a leak tells where it comes from.
ENVIRONMENT = {"AWS_SECRET_ACCESS_KEY": "planted-aws", "DATABASE": "planted-variable"}
DEFAULTS = {
    "spark.hadoop.fs.azure.account.key.me.dfs.core.windows.net": "planted-azure",
    "spark.hadoop.fs.s3a.secret.key": "planted-s3a",
    "spark.hadoop.fs.s3a.encryption.key": "planted-encryption",
    "spark.hadoop.of.a.house": "planted-hadoop",
    "spark.sql.catalog.unity.token": "planted-catalog",
    "spark.openlineage.transport.auth.apiKey": "planted-lineage",
}
JAVA = {"javax.net.ssl.keyStorePassword": "planted-key-store", "of.a.house": "planted-property"}
# The sources themselves, which no other user can read.
_PRIVATE = ("conf/spark-defaults.conf", "var/java/options")


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Ended, list[str]]]:
    """The folder of a night with every kind of secret, what it printed, and the command lines meanwhile.

    One of two drops is refused, so that there are errors to tell: to a receiver that works, and to one that
    does not.
    """
    work = tmp_path_factory.mktemp("secrets")
    land(work)
    bad = work / "landing" / "drop_date=2026-03-03" / "sales.csv"
    bad.parent.mkdir()
    bad.write_text("a,b\n1,2\n")
    (work / "conf").mkdir()
    defaults = work / "conf" / "spark-defaults.conf"
    defaults.write_text("".join(f"{name} {value}\n" for name, value in DEFAULTS.items()))
    defaults.chmod(0o600)
    with receiving("planted-path") as receiver:
        refusing = "json://me:planted-login@127.0.0.1:9/planted-refused?token=planted-token"
        environment = {
            **ENVIRONMENT,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "CYMBAL_CORES": "2",
            "CYMBAL_VAR": f"{work}/var",
            "CYMBAL_EVENTS": f"{work}/events",
            "CYMBAL_METRICS": f"{work}/run.prom",
            "CYMBAL_NOTIFY": f"{receiver.address} {refusing}",
            "SPARK_CONF_DIR": str(defaults.parent),
            "JAVA_TOOL_OPTIONS": " ".join(f"-D{name}={value}" for name, value in JAVA.items()),
            "http_proxy": "http://me:planted-proxy@127.0.0.1:9",
            "no_proxy": "127.0.0.1",
        }
        ended, lines = _run(work, environment)
        assert receiver.take(), ended.told  # the night did use what it was given
    yield work, ended, lines


def _run(work: Path, environment: dict[str, str]) -> tuple[Ended, list[str]]:
    """Runs a night; also returns the command lines of all processes that it started."""
    folders = ["--landing", f"{work}/landing", "--lake", f"{work}/lake", "--report", f"{work}/report"]
    lines: set[str] = set()
    with (work / "out.log").open("wb") as out, (work / "errors.log").open("wb") as errors:
        process = subprocess.Popen(
            [f"{ROOT}/scripts/submit.sh", "run_batch", *folders, "--result", f"{work}/result.json"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
        )
        deadline = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < deadline:
            lines |= set(_command_lines(process.pid))
            time.sleep(0.1)
        process.kill()
    printed = [(work / name).read_text() for name in ("out.log", "errors.log")]
    return Ended(process.wait(), *printed, json.loads((work / "result.json").read_text())), sorted(lines)


def _command_lines(pid: int) -> Iterator[str]:
    try:
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            yield " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return


def _content(path: Path) -> bytes:
    """The content of a file, as whoever may read it would see it."""
    if path.name.startswith("local-") or path.suffix == ".zstd":
        with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as file:
            return bytes(file.read())
    return path.read_bytes()


def test_the_night_did_its_work_with_them(left: tuple[Path, Ended, list[str]]) -> None:
    work, ended, lines = left
    assert ended.code == 4, ended.told
    assert published(work) == 10
    assert [row["business_date"] for row in ended.result["dates"] if row["status"] == "done"] == [DATE]
    assert "CYMBAL_NOTIFY: receiver 2 took no message" in ended.stderr
    assert any("SparkSubmit" in line and "run_batch.py" in line for line in lines)


def test_no_command_line_shows_a_secret(left: tuple[Path, Ended, list[str]]) -> None:
    assert [line for line in left[2] if "planted" in line] == []


def test_no_file_that_it_leaves_holds_one(left: tuple[Path, Ended, list[str]]) -> None:
    work = left[0]
    files = {str(path.relative_to(work)): path for path in work.rglob("*") if path.is_file()}
    kinds = ("out.log", "errors.log", "result.json", "run.prom", "events/", "report/", "lake/", "var/")
    for kind in kinds:
        assert any(name.startswith(kind) for name in files), kind
    assert any(name.startswith("lake/ledger/_running/progress.") for name in files)
    assert {name for name, path in files.items() if b"planted" in _content(path)} == set(_PRIVATE)
    for name in _PRIVATE:
        assert oct(files[name].stat().st_mode & 0o777) == "0o600"
    (events,) = (work / "events").iterdir()
    assert b"SparkListenerEnvironmentUpdate" in _content(events)  # it was read, and lists all settings
    assert b"fs.azure.account.key" in _content(events)


def test_no_row_of_the_ledger_holds_one(left: tuple[Path, Ended, list[str]]) -> None:
    tables = [path.parent for path in (left[0] / "lake" / "ledger").rglob("_delta_log")]
    rows: dict[str, Any] = {
        table.name: json.dumps(DeltaTable(str(table)).to_pyarrow_table().to_pylist(), default=str)
        for table in tables
    }
    assert "--landing" in rows[LEDGER_RUNS.name.rpartition("/")[2]]
    assert {name for name, text in rows.items() if "planted" in text} == set()


def test_other_users_can_read_nothing_of_it(left: tuple[Path, Ended, list[str]]) -> None:
    work = left[0]
    own = [work / name for name in ("result.json", "run.prom", "events", "report")]
    own += (work / "var").iterdir()
    made = [path for folder in own for path in (folder, *folder.rglob("*"))]
    assert [str(path) for path in made if path.stat().st_mode & 0o007] == []


def test_a_printed_command_shows_none(tmp_path: Path) -> None:
    (tmp_path / "spark-defaults.conf").write_text("".join(f"{n} {v}\n" for n, v in DEFAULTS.items()))
    printed = subprocess.run(
        [f"{ROOT}/scripts/submit.sh", "--print", "run_batch", "--lake", f"{tmp_path}/lake"],
        env={
            **ENVIRONMENT,
            "PATH": os.environ["PATH"],
            "SPARK_CONF_DIR": str(tmp_path),
            "CYMBAL_VAR": f"{tmp_path}/var",
            "JAVA_TOOL_OPTIONS": " ".join(f"-D{name}={value}" for name, value in JAVA.items()),
            "CYMBAL_NOTIFY": "json://me:planted@127.0.0.1:9",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert "spark-submit" in printed.stdout
    assert "planted" not in printed.stdout + printed.stderr
