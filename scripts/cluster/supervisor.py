"""Keeps the processes of the cluster running, like an init system on real hosts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import FrameType

from scripts.cluster.layout import HOME, Daemon, Layout

_POLL_SECONDS = 0.25


class Supervisor:
    """Starts each process, and starts it again some seconds after its loss."""

    def __init__(self, layout: Layout) -> None:
        """Takes the layout of the cluster."""
        self._layout = layout
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._lost_at: dict[str, float] = {}
        self._stopping = False

    def run(self) -> None:
        """Runs until SIGTERM or SIGINT, then ends the processes."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        while not self._stopping:
            for daemon in self._layout.daemons():
                self._keep_running(daemon)
            time.sleep(_POLL_SECONDS)
        for process in self._running.values():
            process.terminate()

    def _keep_running(self, daemon: Daemon) -> None:
        process = self._running.get(daemon.name)
        if process is None:
            self._running[daemon.name] = self._start(daemon)
        elif process.poll() is not None:
            lost_at = self._lost_at.setdefault(daemon.name, time.monotonic())
            if time.monotonic() - lost_at >= self._layout.restart_seconds:
                del self._lost_at[daemon.name]
                self._running[daemon.name] = self._start(daemon)

    def _start(self, daemon: Daemon) -> subprocess.Popen[bytes]:
        common = {"SPARK_DAEMON_MEMORY": "256m", "SPARK_NO_DAEMONIZE": "1", **self._layout.environment()}
        with (HOME / f"{daemon.name}.log").open("ab") as log:
            return subprocess.Popen(
                daemon.command,
                env={**os.environ, **common, **daemon.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True


if __name__ == "__main__":
    layout = Layout.load()
    if layout is None:
        sys.exit("no layout: start the cluster with scripts/cluster.sh start")
    Supervisor(layout).run()
