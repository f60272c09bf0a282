"""Measures a command and everything it starts: wall and CPU time, memory, bytes; stops it at a limit.

Linux only. The command runs in its own session, which identifies its processes. This process adopts those
whose parent ends first, so that none of their CPU time is lost. CPU time and bytes are the kernel's counters
at the end of a process and include the children that it waited for. Only memory is polled.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = 0.2
_SET_CHILD_SUBREAPER = 36
_KILOBYTE = 1024
# Of the fields after the name: user and system time, its own and of children that it waited for, in ticks.
_TIMES = slice(11, 15)


@dataclass(frozen=True)
class Limits:
    """What a command may take.

    Attributes:
        memory_bytes: memory of all its processes together.
        seconds: wall time.
    """

    memory_bytes: float
    seconds: float


@dataclass(frozen=True)
class Measurement:
    """What a command took.

    Attributes:
        wall_seconds: from its start to its end.
        cpu_seconds: user and system time of all its processes.
        peak_memory_bytes: the most memory, private and shared, that its processes held at a poll. Pages of
            mapped files are left out, since the kernel may drop them at any time.
        read_bytes: bytes requested by read calls, from the page cache or not.
        written_bytes: bytes passed to write calls.
        exit_code: exit code of the command; negative if a signal ended it.
        exceeded: ``memory`` or ``time`` if it was stopped at that limit, else None.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    read_bytes: int
    written_bytes: int
    exit_code: int
    exceeded: str | None = None


@dataclass
class _Spent:
    """What ended processes used."""

    cpu_seconds: float = 0.0
    read_bytes: int = 0
    written_bytes: int = 0


def _tell_nothing(_seconds: float, _memory_bytes: int) -> None:
    """The default of ``tell``."""


def measure(
    command: Sequence[str],
    limits: Limits,
    *,
    log: Path,
    folder: Path,
    environment: Mapping[str, str],
    tell: Callable[[float, int], None] = _tell_nothing,
) -> Measurement:
    """Runs a command to its end or to a limit.

    Args:
        command: program and arguments.
        limits: what it may take.
        log: file for its output.
        folder: its working directory.
        environment: its environment.
        tell: called at each poll with the seconds and the bytes of memory.
    """
    spent = _Spent()
    with _adopting_orphans(), log.open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            cwd=folder, env=dict(environment), start_new_session=True,
        )  # fmt: skip
        try:
            peak, exceeded = _watch(process.pid, started, limits, tell)
        finally:
            wall = time.monotonic() - started
            # Kill the session even if this process is interrupted: it would go on running.
            _kill(_session(process.pid))
            process.returncode = _reap(process.pid, spent)
            _end_session(process.pid, spent)
    return Measurement(
        wall, spent.cpu_seconds, peak, spent.read_bytes, spent.written_bytes, process.returncode, exceeded
    )


def tree_cpu_seconds(pid: int) -> float:
    """User and system time so far of a process that runs, its children, and those that they waited for."""
    ticks: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        fields = _stat(int(folder.name)) if folder.name.isdecimal() else []
        if fields:
            ticks[int(folder.name)] = sum(map(int, fields[_TIMES]))
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    total, found = 0, [pid]
    while found:
        process = found.pop()
        total += ticks.get(process, 0)
        found += children.get(process, [])
    return total / os.sysconf("SC_CLK_TCK")


def _watch(
    leader: int, started: float, limits: Limits, tell: Callable[[float, int], None]
) -> tuple[int, str | None]:
    """Polls until the command has ended. Returns peak memory, and the exceeded limit if any."""
    peak, exceeded = 0, None
    before: set[int] = set()
    while not _ends_within(leader, _POLL_SECONDS):
        now = set(_session(leader))
        # For some milliseconds a new child shows its parent's memory: count it from the second poll.
        memory = sum(map(_memory_bytes, now & before))
        before = now
        peak = max(peak, memory)
        seconds = time.monotonic() - started
        tell(seconds, memory)
        if exceeded is None and (memory > limits.memory_bytes or seconds > limits.seconds):
            exceeded = "memory" if memory > limits.memory_bytes else "time"
        if exceeded is not None:
            _kill(now)
    return peak, exceeded


def _ends_within(pid: int, seconds: float) -> bool:
    """Whether a child ends within so many seconds. Does not reap it."""
    descriptor = os.pidfd_open(pid)
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def _reap(pid: int, spent: _Spent) -> int:
    """Waits for a child, adds what it used and returns its exit code."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    # Read the counters before reaping: the kernel drops them with the process.
    counters = _counters(pid)
    _, status, usage = os.wait4(pid, 0)
    spent.cpu_seconds += usage.ru_utime + usage.ru_stime
    spent.read_bytes += counters.get("rchar", 0)
    spent.written_bytes += counters.get("wchar", 0)
    return os.waitstatus_to_exitcode(status)


def _end_session(leader: int, spent: _Spent) -> None:
    """Kills the processes that the command left running, and adds what they used."""
    while left := list(_session(leader)):
        _kill(left)
        for pid in left:
            if _parent(pid) == os.getpid():
                _reap(pid, spent)
        # A process whose parent still runs is adopted a moment later.
        time.sleep(_POLL_SECONDS / 10)


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _session(leader: int) -> Iterator[int]:
    """Ids of the processes of a session."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and _stat(int(folder.name))[3:4] == [str(leader)]:
            yield int(folder.name)


def _parent(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def _stat(pid: int) -> list[str]:
    """Fields after the name: state, parent, group, session, ...; empty if the process is gone."""
    return _read(pid, "stat").rpartition(")")[2].split()


def _memory_bytes(pid: int) -> int:
    status = _numbers(_read(pid, "status"))
    return (status.get("RssAnon", 0) + status.get("RssShmem", 0)) * _KILOBYTE


def _counters(pid: int) -> dict[str, int]:
    return _numbers(_read(pid, "io"))


def _numbers(text: str) -> dict[str, int]:
    """Numbers by name, from lines such as ``RssAnon:  12 kB``."""
    pairs = (line.partition(":") for line in text.splitlines())
    values = ((name, value.split()) for name, _, value in pairs)
    return {name: int(value[0]) for name, value in values if value and value[0].isdecimal()}


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


@contextlib.contextmanager
def _adopting_orphans() -> Iterator[None]:
    """Makes this process the parent of descendants whose own parent ends."""
    _set_subreaper(True)
    try:
        yield
    finally:
        _set_subreaper(False)


def _set_subreaper(on: bool) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, int(on), 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"cannot adopt orphans: {os.strerror(error)}")
