"""``scripts/cluster.sh start | stop | status``."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import click
import psutil
from rich.console import Console
from rich.table import Table

from scripts.bootstrap.common import ROOT
from scripts.cluster.disks import mount_small_disk, unmount_below
from scripts.cluster.layout import HOME, MARK, Layout, local_folder, worker_host
from scripts.submission.authentication import read_secret
from scripts.submission.request import SubmissionError

_START_SECONDS = 90
_STOP_SECONDS = 10
_FOLDER_MARK = "of-scripts-cluster"


@click.group(help="Run a standalone Spark cluster on this machine, to watch how jobs recover from failures.")
def main() -> None:
    """Groups the commands."""


@main.command()
@click.option("--workers", type=click.IntRange(1, 200), default=4, show_default=True)
@click.option("--cores", type=click.IntRange(1), default=1, show_default=True, help="Cores of each worker.")
@click.option("--memory", default="1g", show_default=True, help="Memory of each worker.")
@click.option("--port", type=click.IntRange(1024, 65533), default=7077, show_default=True)
@click.option("--small-disk", type=click.IntRange(0), default=0, metavar="MB", help="Of the last worker.")
@click.option("--restart-seconds", type=click.FloatRange(0), default=10, show_default=True)
@click.option("--secret", type=click.Path(resolve_path=True), metavar="FILE", help="Ask all for this secret.")
def start(
    workers: int,
    cores: int,
    memory: str,
    port: int,
    small_disk: int,
    restart_seconds: float,
    secret: str | None,
) -> None:
    """Removes the rest of an earlier cluster, then starts master, workers and shuffle service."""
    if _processes():
        _refuse("the cluster is already running: stop it with scripts/cluster.sh stop")
    if secret:
        try:
            read_secret(Path(secret), "--secret ")
        except SubmissionError as error:
            _refuse(str(error))
    _clear()
    layout = Layout(port, workers, cores, memory, small_disk, restart_seconds, secret or "")
    _check_ports(layout)
    HOME.mkdir(parents=True, exist_ok=True)
    (HOME / _FOLDER_MARK).touch()
    for number in range(1, workers + 1):
        local_folder(number).mkdir(parents=True)
    if small_disk and not mount_small_disk(layout.disk_of_last_worker, small_disk):
        _refuse("--small-disk: only root can mount a disk, and only on Linux")
    layout.save()
    exports = "".join(f"export {n}={shlex.quote(v)}\n" for n, v in layout.variables().items())
    (HOME / "env.sh").write_text(exports, encoding="utf-8")
    with (HOME / "supervisor.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "scripts.cluster.supervisor"],
            env={**os.environ, MARK: str(HOME)},
            start_new_session=True,  # the supervisor must outlive this terminal
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    _wait_for_workers(layout)
    print(f"cluster {layout.master}: {workers} workers of {cores} cores and {memory}, logs in {HOME}")
    home = HOME.relative_to(ROOT) if HOME.is_relative_to(ROOT) else HOME
    print(f"use it:  source {home}/env.sh; scripts/submit.sh --place standalone JOB")


@main.command()
def stop() -> None:
    """Ends every process of the cluster and removes its files."""
    was_running = bool(_processes())
    _clear()
    print("cluster stopped" if was_running else "no cluster was running")


@main.command()
def status() -> None:
    """Shows the workers. Exits with 0 if all are alive, with 1 if one is lost or no cluster is running."""
    layout = Layout.load()
    state = None if layout is None or not _processes() else _state(layout)
    if layout is None or state is None:
        print("no cluster is running")
        sys.exit(1)
    alive = {worker["host"]: worker for worker in state["workers"] if worker["state"] == "ALIVE"}
    table = Table("worker", "address", "state", "cores used", "memory used MB", box=None, pad_edge=False)
    for number in range(1, layout.workers + 1):
        host = worker_host(number)
        worker = alive.get(host)
        cells = (
            ["lost"]
            if worker is None
            else [
                "alive",
                f"{worker['coresused']} of {worker['cores']}",
                f"{worker['memoryused']} of {worker['memory']}",
            ]
        )
        table.add_row(f"worker-{number}", host, *cells)
    Console().print(f"cluster {layout.master}, logs in {HOME}", highlight=False, soft_wrap=True)
    Console().print(table)
    sys.exit(0 if len(alive) == layout.workers else 1)


def _check_ports(layout: Layout) -> None:
    for port in layout.ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                _refuse(f"port {port} is in use: set --port to the first of three free ports")


def _wait_for_workers(layout: Layout) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        state = _state(layout)
        alive = [w for w in state["workers"] if w["state"] == "ALIVE"] if state else []
        if len(alive) == layout.workers:
            return
        time.sleep(0.25)
    _refuse(f"the workers did not come up within {_START_SECONDS} s: see the logs in {HOME}")


def _state(layout: Layout) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(layout.page, timeout=5) as response:
            state: dict[str, Any] = json.load(response)
            return state
    except (OSError, ValueError):
        return None


def _processes() -> list[psutil.Process]:
    """Returns every process of the cluster. The environment identifies it even if its parents have ended."""
    processes = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == str(HOME):
                processes.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return processes


def _clear() -> None:
    # SIGKILL: a suspended process would not react to SIGTERM, and the files are deleted anyway.
    for _ in range(3):  # repeat, because the supervisor may have started another process
        remaining = _processes()
        for process in remaining:
            process.kill()
        psutil.wait_procs(remaining, timeout=_STOP_SECONDS)
        if not remaining:
            break
    unmount_below(HOME)
    if (HOME / _FOLDER_MARK).exists():
        shutil.rmtree(HOME)


def _refuse(text: str) -> None:
    print(f"error: {text}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main(prog_name="scripts/cluster.sh")
