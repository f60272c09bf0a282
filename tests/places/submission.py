"""Jobs handed to scripts/submit.sh, as a scheduler would, over storage that is no disk of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.cluster import CHEAP

ROOT = Path(__file__).resolve().parents[2]
_OWN = ("CYMBAL_", "SPARK_", "PYSPARK_", "PYTHONPATH", "JAVA_HOME", "HADOOP_", "YARN_", "AWS_")


@dataclass
class Place:
    """How to submit to a place.

    Attributes:
        options: options of scripts/submit.sh before the job.
        folder: where logs go.
        settings: Spark's settings.
        variables: further variables of the environment.
    """

    options: list[str]
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    started: int = 0

    def with_variables(self, **variables: str) -> Place:
        """The same place, with other variables."""
        return Place(self.options, self.folder, self.settings, {**self.variables, **variables}, 1000)

    def start(self, job: str, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        """Starts a job, in a process group of its own, so that all of it can be killed at once."""
        self.started += 1
        return subprocess.Popen(
            [str(ROOT / "scripts" / "submit.sh"), *self.options, job, *arguments],
            env=self._environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, job: str, *arguments: str, **settings: str) -> tuple[int, str]:
        """Runs a job to its end: exit code, and what it said."""
        return ended(self.start(job, *arguments, **settings))

    def done(self, job: str, *arguments: str, **settings: str) -> str:
        """Runs a job that must end well; what it said."""
        code, said = self.run(job, *arguments, **settings)
        assert code == 0, said
        return said

    def logs(self) -> str:
        """All that Spark logged in runs of this place."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        bare = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
        given = {**CHEAP, **self.settings, **settings}
        return {
            **bare,
            "CYMBAL_SPARK_ARGS": " ".join(f"--conf {name}={value}" for name, value in given.items()),
            "CYMBAL_LOG_FILE": str(self.folder / f"spark-{self.started}.log"),
            "CYMBAL_CORES": "2",
            **self.variables,
        }


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Waits for a job's end: exit code, and what it said."""
    said, _ = process.communicate(timeout=400)
    return process.returncode, said


def wait_for(process: subprocess.Popen[str], step: str) -> None:
    """Waits until a job tells a step."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if step in line:
            return
    raise AssertionError("".join(said))


def free_port() -> int:
    """A port of the loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def watching_command_lines(text: str) -> Iterator[list[str]]:
    """Collects the command lines with a text in them, of all processes, as ``ps`` shows them to everybody."""
    found: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            for process in psutil.process_iter(["cmdline"]):
                line = " ".join(process.info["cmdline"] or ())
                if text in line:
                    found.append(line)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()
