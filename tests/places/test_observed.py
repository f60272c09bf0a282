"""A run as others watch it: its lineage in a file, its event log in a History Server that answers."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.extended import EXTENDED_CONFIG

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a small batch ran, watched in every way."""
    folder = tmp_path_factory.mktemp("watched")
    metastore = f"jdbc:derby:;databaseName={folder}/hive;create=true"
    own = {name: value for name, value in os.environ.items() if not name.startswith("CYMBAL_")}
    own |= {
        "CYMBAL_EVENTS": str(folder / "events"),
        "CYMBAL_LINEAGE": str(folder / "lineage.jsonl"),
        "CYMBAL_METRICS": str(folder / "cymbal.prom"),
        "CYMBAL_LOG_FORMAT": "json",
        "CYMBAL_LOG_FILE": str(folder / "spark.log"),
        "CYMBAL_CORES": "2",
        # A metastore of Hive's in a folder, as Spark makes one where it is told of no server.
        "CYMBAL_SPARK_ARGS": "--conf spark.sql.catalogImplementation=hive "
        f"--conf spark.sql.warehouse.dir={folder}/warehouse "
        f"--conf 'spark.hadoop.javax.jdo.option.ConnectionURL={metastore}' "
        "--conf spark.hadoop.datanucleus.schema.autoCreateAll=true",
    }
    submit = str(ROOT / "scripts" / "submit.sh")
    landing = ["--config", str(EXTENDED_CONFIG), "--landing", str(folder / "landing")]
    where = [*landing, "--lake", str(folder / "lake")]
    generate = [submit, "generate_sales", *landing, "--rows", "60", "--from", "2026-01-05"]
    plain = {
        name: value for name, value in own.items() if name not in ("CYMBAL_SPARK_ARGS", "CYMBAL_LINEAGE")
    }
    subprocess.run([*generate, "--to", "2026-01-05"], env=plain, capture_output=True, timeout=180, check=True)
    settings = ["--set", "currencies=[USD, JPY, KWD]", "--set", "storage.catalog=sales"]
    ran = subprocess.run(
        [submit, "run_batch", *where, *settings],
        env=own,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (folder / "told").write_text(ran.stdout + ran.stderr)
    return folder


def test_lineage_tells_which_tables_are_made_of_which(watched: Path) -> None:
    events = [json.loads(line) for line in (watched / "lineage.jsonl").read_text().splitlines()]
    edges = {
        (Path(source["name"]).name, Path(target["name"]).name)
        for event in events
        for source in event["inputs"]
        for target in event["outputs"]
    }
    assert {("received_sales", "sales"), ("sales", "daily_sales"), ("sales", "invoices")} <= edges
    assert ("sales", "weekly_chunks") in edges, "the table that the config declares"
    assert {event["job"]["namespace"] for event in events} == {"cymbal-sales"}


class _Taker(http.server.BaseHTTPRequestHandler):
    taken: list[tuple[str, str]] = []  # noqa: RUF012  # http.server makes an object a request

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.taken.append((self.path, event["eventType"]))
        self.send_response(201)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


def test_lineage_is_sent_to_a_server(tmp_path: Path) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Taker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    own = {name: value for name, value in os.environ.items() if not name.startswith("CYMBAL_")}
    submit = str(ROOT / "scripts" / "submit.sh")
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        subprocess.run(
            [submit, "generate_sales", "--landing", str(tmp_path), "--rows", "20"],
            env={**own, "CYMBAL_LINEAGE": address, "CYMBAL_LOG_FILE": str(tmp_path / "log")},
            capture_output=True, timeout=180, check=True,
        )  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
    assert {path for path, _ in _Taker.taken} == {"/api/v1/lineage"}
    assert {"START", "COMPLETE"} <= {kind for _, kind in _Taker.taken}


def test_everything_told_and_logged_is_json(watched: Path) -> None:
    lines = (watched / "told").read_text().splitlines() + (watched / "spark.log").read_text().splitlines()
    assert all("message" in json.loads(line) for line in lines)


def test_metrics_are_there(watched: Path) -> None:
    assert 'cymbal_run_exit_code{job="run_batch"} 0.0' in (watched / "cymbal.prom").read_text()


def test_the_metastore_outlives_the_run(watched: Path) -> None:
    assert (watched / "hive" / "service.properties").exists()


def test_the_history_server_shows_the_run(watched: Path) -> None:
    port = "18123"
    server = subprocess.Popen(
        [str(ROOT / "scripts" / "history.sh"), str(watched / "events"), port],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        names = {run["name"] for run in _answer(f"http://127.0.0.1:{port}/api/v1/applications", seconds=90)}
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)
    assert "cymbal-sales run_batch" in names or "cymbal run_batch" in names


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/no/such/folder"], "no folder /no/such/folder"),
        (["/tmp", "http"], "port http: a number"),
        (["-h"], "usage"),
    ],
)
def test_the_history_server_refuses_what_it_cannot_show(arguments: list[str], said: str) -> None:
    refused = subprocess.run(
        [str(ROOT / "scripts" / "history.sh"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    assert re.match(r"error: .*" + re.escape(said), refused.stderr)


def _answer(address: str, seconds: float) -> list[dict[str, Any]]:
    """What a server answers once it has read something; none where the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                found: list[dict[str, Any]] = json.load(answer)
            if found:
                return found
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(1)
    return []
