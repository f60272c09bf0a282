"""Runs the batch like its users do: with scripts/submit.sh, in its own process."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_OF_THIS_PROCESS = ("PYSPARK_", "SPARK_ENV", "_PYSPARK", "SPARK_AUTH", "CYMBAL_STD", "PYTHONPATH")
KILLED = 128 + signal.SIGKILL


@dataclass(frozen=True)
class Ran:
    """The outcome of a run.

    Attributes:
        code: exit code; 137 if it was killed.
        seconds: wall time.
        result: its result; empty if it wrote none.
        events: folder of its event log.
        terminal: its output on stdout and stderr.
    """

    code: int
    seconds: float
    result: dict[str, Any]
    events: Path
    terminal: str


@dataclass
class Runner:
    """Submits jobs to a place.

    Attributes:
        target: value of ``scripts/submit.sh --place``.
        folder: folder for results and event logs.
        settings: Spark settings of every run.
        arguments: arguments of every run.
        jars: jars of every run.
    """

    target: str
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    jars: Sequence[Path] = ()
    _count: int = 0

    def run(self, job: str, *arguments: str, settings: Mapping[str, str] | None = None) -> Ran:
        """Runs a job to its end, successful or not."""
        self._count += 1
        own = self.folder / f"{self._count:03d}-{job}"
        events = own / "events"
        events.mkdir(parents=True)
        logged = {
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": events.as_uri(),
            "spark.eventLog.rolling.enabled": "false",
            "spark.eventLog.compress": "false",
        }
        command = [str(_ROOT / "scripts" / "submit.sh"), "--place", self.target, job]
        command += [*self.arguments, *arguments, "--result", str(own / "result.json")]
        started = time.monotonic()
        finished = subprocess.run(
            command,
            env=self._environment({**self.settings, **logged, **(settings or {})}, own / "spark.log"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            check=False,
        )
        seconds = time.monotonic() - started
        (own / "terminal.log").write_text(finished.stdout, encoding="utf-8")
        code = KILLED if finished.returncode == -signal.SIGKILL else finished.returncode
        return Ran(code, seconds, _result(own / "result.json"), events, finished.stdout)

    def _environment(self, settings: Mapping[str, str], log: Path) -> dict[str, str]:
        # Drop what spark-submit set for the drill itself: the run's own spark-submit sets it again.
        own = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THIS_PROCESS)}
        extra = [f"--conf {shlex.quote(f'{name}={value}')}" for name, value in settings.items()]
        if self.jars:
            extra.append(f"--jars {shlex.quote(','.join(map(str, self.jars)))}")
        arguments = " ".join([own.get("CYMBAL_SPARK_ARGS", ""), *extra])
        return {**own, "CYMBAL_SPARK_ARGS": arguments, "CYMBAL_LOG_FILE": str(log)}


def _result(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content
    except FileNotFoundError:
        return {}
