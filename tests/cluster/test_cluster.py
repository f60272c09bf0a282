"""scripts/cluster.sh: real processes, found again and ended whatever happened to them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.cluster import Cluster

pytestmark = pytest.mark.workers


def processes_of(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CYMBAL_CLUSTER_OF") == str(home):
                found.append(process)
        except psutil.Error:
            continue
    return found


def worker(home: Path, number: int) -> psutil.Process | None:
    host = f"127.0.0.{number + 1}"
    for process in processes_of(home):
        if "org.apache.spark.deploy.worker.Worker" in process.cmdline() and host in process.cmdline():
            return process
    return None


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster that the test may break."""
    found = Cluster(tmp_path / "home")
    yield found
    found.command("stop")


def test_a_cluster_starts_restarts_what_is_lost_and_leaves_nothing(own: Cluster) -> None:
    assert own.command("status").returncode == 1
    own.start("--workers", "2")
    whole = own.command("status")
    assert whole.returncode == 0
    assert "worker-2  127.0.0.3  alive" in whole.stdout
    again = own.command("start")
    assert again.returncode == 2
    assert again.stderr == "error: the cluster is already running: stop it with scripts/cluster.sh stop\n"

    lost = worker(own.home, 2)
    assert lost is not None
    os.kill(lost.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while (found := worker(own.home, 2)) is None or found.pid == lost.pid:
        assert time.monotonic() < deadline, "the lost worker was not started again"
        time.sleep(0.5)

    # The supervisor dies too: what it started is found all the same.
    supervisors = [p for p in processes_of(own.home) if "scripts.cluster.supervisor" in p.cmdline()]
    os.kill(supervisors[0].pid, signal.SIGKILL)
    assert len(processes_of(own.home)) >= 4
    assert own.command("stop").returncode == 0
    assert processes_of(own.home) == []
    assert not own.home.exists()
    assert own.command("stop").stdout == "no cluster was running\n"


def test_a_port_that_is_taken_is_told(own: Cluster, cluster: Cluster) -> None:
    taken = cluster.variables["CYMBAL_MASTER"].rsplit(":", 1)[1]
    refused = own.command("start", "--port", taken)
    assert refused.returncode == 2
    assert refused.stderr == f"error: port {taken} is in use: set --port to the first of three free ports\n"
