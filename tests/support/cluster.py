"""A real cluster for the tests: a master, workers and a shuffle service, processes of their own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.lake.evaluation import INTERPRETED

ROOT = Path(__file__).resolve().parents[2]
# Small data, few cores: time goes into starting processes and compiling, so that is kept small: one compiler
# of the JVM, expressions evaluated as they stand: else each process compiles code for a few lines.
CHEAP = {
    "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    **INTERPRETED,
    "spark.sql.shuffle.partitions": "4",
    "spark.databricks.delta.snapshotPartitions": "1",
}
# A hung worker is found in 20 s, not in 60.
SMALL = {
    **CHEAP,
    "spark.network.timeout": "20s",
    "spark.network.timeoutInterval": "5s",
    "spark.executor.heartbeatInterval": "3s",
}


@dataclass
class Cluster:
    """A cluster and how to submit to it, once it is started; and to the local place, started or not."""

    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    has_small_disk: bool = False

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """scripts/cluster.sh."""
        return subprocess.run(
            [str(ROOT / "scripts" / "cluster.sh"), *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def environment(self, **settings: str) -> dict[str, str]:
        """Variables with which scripts/submit.sh uses the cluster, or only this machine."""
        own = ("CYMBAL_", "SPARK_", "PYSPARK_", "PYTHONPATH", "JAVA_HOME")
        bare = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        found = {**bare, **self.variables, "CYMBAL_CLUSTER_HOME": str(self.home)}
        extra = " ".join(f"--conf {name}={value}" for name, value in {**SMALL, **settings}.items())
        found["CYMBAL_SPARK_ARGS"] = f"{self.variables.get('CYMBAL_SPARK_ARGS', '')} {extra}"
        return found

    def start(self, *arguments: str) -> None:
        """Starts it, on ports that are free."""
        started = ["start", "--port", str(_free_port()), "--restart-seconds", "3", *arguments]
        ran = self.command(*started, "--small-disk", "300")
        self.has_small_disk = ran.returncode == 0
        if "--small-disk" in ran.stderr:  # not allowed to mount one here
            ran = self.command(*started)
        assert ran.returncode == 0, ran.stderr
        for text in shlex.split((self.home / "env.sh").read_text()):
            if text != "export":
                name, _, value = text.partition("=")
                self.variables[name] = value

    def submit(
        self,
        job: str,
        *arguments: str,
        place: str = "standalone",
        mode: str = "client",
        log: Path | None = None,
        **settings: str,
    ) -> subprocess.Popen[str]:
        """Starts a job, in a process group of its own, so that all of a driver can be killed at once."""
        environment = self.environment(**settings)
        if place == "local":
            environment |= {"CYMBAL_CORES": "2"}
        if log is not None:
            environment |= {"CYMBAL_LOG_FILE": str(log)}
        return subprocess.Popen(
            [str(ROOT / "scripts" / "submit.sh"), "--place", place, "--deploy-mode", mode, job, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(
        self, job: str, *arguments: str, place: str = "standalone", mode: str = "client", **settings: str
    ) -> tuple[int, str]:
        """Runs a job to its end: exit code, and what it said."""
        process = self.submit(job, *arguments, place=place, mode=mode, **settings)
        said, _ = process.communicate(timeout=2000)
        return process.returncode, said


def kill(process: subprocess.Popen[str]) -> None:
    """Kills a driver, JVM and Python at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def _free_port() -> int:
    """The first of three ports that nobody has."""
    for port in range(17077, 27077, 10):
        if all(_is_free(port + extra) for extra in range(3)):
            return port
    raise RuntimeError("no free port")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
