"""A real Airflow for the tests: scheduler, DAG processor and API server, processes of their own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import socketserver
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

ROOT = Path(__file__).resolve().parents[3]
DAGS = ROOT / "deploy" / "airflow"
AIRFLOW = ROOT / "scripts" / "airflow.sh"
PARTS = ("api-server", "dag-processor", "scheduler")
Found = TypeVar("Found")


def settings(home: Path, **more: str) -> dict[str, str]:
    """Environment of an Airflow with its files below a folder, and of nothing that this process was told."""
    own = ("AIRFLOW", "CYMBAL_", "SPARK_", "PYSPARK_", "PYTHONPATH", "JAVA_HOME")
    bare = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return bare | {"AIRFLOW_HOME": str(home), "CYMBAL_START_DATE": "2026-03-02"} | more


def wait_for(what: str, look: Callable[[], Found | None], seconds: float) -> Found:
    """Looks until there is something to see."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    raise TimeoutError(f"{what}: not within {seconds:.0f} s")


@dataclass
class AirflowServer:
    """A running Airflow."""

    home: Path
    environment: Mapping[str, str]
    port: int = field(init=False)
    parts: list[subprocess.Popen[bytes]] = field(default_factory=list)
    token: str = ""

    def start(self) -> None:
        """Makes the database, starts the parts and waits until the API answers."""
        self.port = free_port()
        secret = secrets.token_urlsafe(32)
        self.environment = settings(self.home, **self.environment) | {
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secret,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        }
        subprocess.run(
            [str(AIRFLOW), "db", "migrate"],
            env=self.environment,
            check=True,
            timeout=1500,
            stdout=subprocess.DEVNULL,
        )
        for part in PARTS:
            with (self.home / f"{part}.log").open("wb") as log:
                self.parts.append(
                    subprocess.Popen(
                        [str(AIRFLOW), part],
                        env=self.environment,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
        self.token = wait_for("the API server", self._token, 120)

    def stop(self) -> None:
        """Ends the parts and whatever they started."""
        started = [psutil.Process(part.pid) for part in self.parts if part.poll() is None]
        everything = [child for one in started for child in one.children(recursive=True)] + started
        for part in self.parts:
            with suppress(ProcessLookupError):
                os.killpg(part.pid, signal.SIGTERM)
        _, alive = psutil.wait_procs(everything, timeout=15)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def call(self, method: str, path: str, **body: Any) -> Any:
        """Calls the public REST API."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v2/{path}",
            method=method,
            data=json.dumps(body).encode() if body else None,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """Runs of a DAG, by logical date."""
        found: list[dict[str, Any]] = self.call("GET", f"dags/{dag}/dagRuns?limit=50")["dag_runs"]
        return sorted(found, key=lambda run: str(run["logical_date"]))

    def task(self, dag: str, run_id: str, task: str) -> dict[str, Any]:
        """State of a task."""
        found: dict[str, Any] = self.call("GET", f"dags/{dag}/dagRuns/{run_id}/taskInstances/{task}")
        return found

    def log(self, dag: str, run_id: str, task: str, attempt: int) -> str:
        """What a try of a task logged."""
        folder = self.home / "logs" / f"dag_id={dag}" / f"run_id={run_id}" / f"task_id={task}"
        lines = (folder / f"attempt={attempt}.log").read_text().splitlines()
        return "\n".join(
            str(json.loads(line).get("event")) + str(json.loads(line).get("error_detail", ""))
            for line in lines
        )

    def _token(self) -> str | None:
        dead = [part for part in self.parts if part.poll() is not None]
        assert not dead, [(self.home / f"{part}.log").read_text()[-2000:] for part in PARTS]
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/auth/token")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return str(json.loads(answer.read())["access_token"])
        except (urllib.error.URLError, OSError):
            return None


class Letters(socketserver.ThreadingTCPServer):
    """A mail server that keeps what it is given."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Mailbox)
        self.kept: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def connection(self) -> str:
        """The connection by which Airflow sends to it."""
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.com"}
        where = {"host": "127.0.0.1", "port": self.server_address[1]}
        return json.dumps({"conn_type": "smtp", **where, "extra": extra})

    def about(self, subject: str) -> list[str]:
        """Letters whose subject line holds a text."""
        return [letter for letter in self.kept if f"Subject: {subject}" in letter]


class _Mailbox(socketserver.StreamRequestHandler):
    server: Letters

    def handle(self) -> None:
        self._say("220 ready")
        while line := self.rfile.readline():
            word = line.decode().strip().upper()
            if word.startswith("DATA"):
                self._say("354 go on")
                self.server.kept.append("".join(iter(self._line, ".\n")))
            if word.startswith("QUIT"):
                return self._say("221 bye")
            self._say("250 fine")
        return None

    def _line(self) -> str:
        return self.rfile.readline().decode().replace("\r\n", "\n")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
