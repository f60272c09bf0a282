"""The lock of a lake: only one run writes at a time, on every store.

A run takes the lock by creating the next file ``lock.<number>``. Every store lets only one of several runs
create that file. No run writes the file of another run, and no number is used twice. So the file with the
highest number shows who holds the lock. The holder rewrites its file every few seconds, as a heartbeat.

A holder loses the lock to the next run that asks for it in two cases: it sent no heartbeat for STALE_SECONDS,
by the clock of the store, or its process is known to have ended.

A run that was suspended and wakes up finds a higher number before its next commit, and stops. Delta itself
stops a commit that was already under way: a run that takes over a lock raises the transaction numbers of the
tables (:meth:`pipeline.lake.tables.Lake.fence`).
"""

from __future__ import annotations

import json
import logging
import platform
import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from py4j.protocol import Py4JJavaError

from pipeline.lake.files import FileStatus, FileStore, first_line
from schemas.errors import TryAgainError, UsageError

FOLDER = "ledger/_running"
BEAT_SECONDS = 10.0
# A run without a heartbeat for this long counts as dead. A pause of a whole machine is mostly much shorter.
STALE_SECONDS = 120.0
_POLL_SECONDS = 2.0
_NAME = re.compile(r"lock\.(\d{12})")
# All files of a holder: its lock, and how far it is (pipeline.lake.progress_file).
_FILES = re.compile(r"(?:lock|progress)\.(\d{12})(?:\.part)?")
_FREE = "free"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holder:
    """The content of the lock file with the highest number.

    Attributes:
        number: number of the file; 0 if there is no file.
        run_id: run that holds the lock; None if the lock is free, empty if the file cannot be read.
        process: machine and process of that run, as :func:`_this_process` returns them.
        heartbeat_ms: time of its last heartbeat in milliseconds, by the clock of the store.
    """

    number: int
    run_id: str | None = None
    process: Mapping[str, Any] = field(default_factory=dict)
    heartbeat_ms: int = 0

    @property
    def is_gone(self) -> bool:
        """Whether its process ran on this machine and has ended."""
        return _is_gone(self.process)


def read_holder(files: FileStore) -> Holder:
    """Reads who holds the lock of a lake. Takes and writes nothing.

    Raises:
        OSError: the store refuses.
    """
    lock_files = {file.name: file for file in _statuses(files) if _NAME.fullmatch(file.name)}
    if not lock_files:
        return Holder(0)
    file = lock_files[max(lock_files)]
    content = _read_heartbeat(files, file)
    run_id = None if _FREE in content else str(content.get("run_id", ""))
    return Holder(int(file.name.partition(".")[2]), run_id, content, file.modified_ms)


class LakeLock:
    """One run's access to the lock.

    Attributes:
        number: number of the lock that it holds; 0 before it holds one.
        was_taken_over: whether it took the lock from a run that is silent or has ended.
        holder_may_live: whether that run may still be alive.
    """

    def __init__(self, files: FileStore, run_id: str) -> None:
        """Prepares the lock for a run; does not acquire it."""
        self._files = files
        self._run_id = run_id
        self.number = 0
        self._beats = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self.was_taken_over = False
        self.holder_may_live = False

    def begin(self, wait_seconds: float = 0.0) -> None:
        """Acquires the lock and starts the heartbeat.

        Args:
            wait_seconds: how long to wait if another run holds the lock.

        Raises:
            TryAgainError: another run still holds the lock.
            UsageError: the store cannot hold a lock.
        """
        give_up_at = time.monotonic() + wait_seconds
        try:
            while True:
                busy_error = self._try_to_acquire()
                if busy_error is None:
                    break
                if time.monotonic() >= give_up_at:
                    raise busy_error
                _LOG.info("waiting for the lake: %s", busy_error)
                time.sleep(min(_POLL_SECONDS, max(0.0, give_up_at - time.monotonic())))
            self._check_store()
            self._delete_older_files()
        except OSError as error:
            raise UsageError(f"lake {self._files.root}: cannot be locked: {error}") from None
        self._thread.start()

    def check(self) -> None:
        """Checks before a commit that this run still holds the lock.

        Raises:
            OSError: the store refuses.
            TryAgainError: this run sent no heartbeat for too long, and another run took the lock.
        """
        highest = max(self._numbers(), default=0)
        if highest != self.number:
            holder = _describe_run(read_holder(self._files))
            raise TryAgainError(
                f"{holder} took this lake, because this run sent no heartbeat for "
                f"more than {STALE_SECONDS:.0f} s; run again"
            )

    def end(self) -> None:
        """Releases the lock, unless another run holds it by now.

        Raises:
            OSError: the store refuses.
        """
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout=BEAT_SECONDS)
        if self.number and max(self._numbers(), default=0) == self.number:
            self._files.write(_path(self.number), json.dumps({_FREE: self._run_id}).encode())

    def _try_to_acquire(self) -> TryAgainError | None:
        """Acquires the lock, or returns the error that names the run that holds it."""
        holder = read_holder(self._files)
        if holder.run_id is not None:
            is_gone, silent_seconds = holder.is_gone, self._silent_seconds(holder)
            if not is_gone and silent_seconds < STALE_SECONDS:
                return _busy_error(holder, silent_seconds)
            self.was_taken_over, self.holder_may_live = True, not is_gone
        if not self._files.create(_path(holder.number + 1), self._heartbeat()):
            self.was_taken_over = self.holder_may_live = False
            winner = read_holder(self._files)
            return _busy_error(winner, self._silent_seconds(winner))
        self.number = holder.number + 1
        return None

    def _check_store(self) -> None:
        """Checks that the store refuses to create a file that already exists.

        Raises:
            UsageError: the store overwrites the file.
        """
        if self._files.create(_path(self.number), self._heartbeat()):
            raise UsageError(
                f"lake {self._files.root}: its store overwrites a file that it must refuse to overwrite, so "
                "two runs at once would lose commits: use a store that creates a file only if it does not "
                "exist (on S3: If-None-Match)"
            )

    def _delete_older_files(self) -> None:
        """Deletes what earlier holders left. The last one's progress stays: someone may be watching it."""
        for file in _statuses(self._files):
            match = _FILES.fullmatch(file.name)
            if match is None or int(match.group(1)) >= self.number:
                continue
            is_lock = _NAME.fullmatch(file.name) is not None
            if is_lock or int(match.group(1)) < self.number - 1:
                self._files.delete(f"{FOLDER}/{file.name}")

    def _numbers(self) -> list[int]:
        matches = (_NAME.fullmatch(file.name) for file in _statuses(self._files))
        return [int(match.group(1)) for match in matches if match]

    def _heartbeat(self) -> bytes:
        self._beats += 1
        return json.dumps({"run_id": self._run_id, "beats": self._beats, **_this_process()}).encode()

    def _silent_seconds(self, holder: Holder) -> float:
        """Returns the seconds since the holder's last heartbeat, by the clock of the store."""
        name = f"{FOLDER}/clock.{self._run_id}"
        now_ms = self._files.write(name, b"").modified_ms
        self._files.delete(name)
        return max(0.0, (now_ms - holder.heartbeat_ms) / 1000)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            with suppress(OSError):  # a persistent failure surfaces in the run's own writes
                self._files.write(_path(self.number), self._heartbeat())


def _statuses(files: FileStore) -> list[FileStatus]:
    try:
        return list(files.files(FOLDER)) if files.exists(FOLDER) else []
    except Py4JJavaError as error:
        raise OSError(first_line(error)) from None


def _read_heartbeat(files: FileStore, file: FileStatus) -> dict[str, Any]:
    """Reads a lock file; the result is empty while its holder writes the file."""
    try:
        content = json.loads(files.read(file.path, 1 << 12))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _busy_error(holder: Holder, silent_seconds: float) -> TryAgainError:
    return TryAgainError(
        f"{_describe_run(holder)} is at work in this lake "
        f"(last heartbeat {silent_seconds:.0f} s ago): run again when it has ended, or "
        "give --wait SECONDS"
    )


def _describe_run(holder: Holder) -> str:
    return f"run {holder.run_id}" if holder.run_id else "another run"


def _path(number: int) -> str:
    return f"{FOLDER}/lock.{number:012d}"


def _machine() -> str:
    """Identifies this machine since its last boot, and the namespace of its process ids."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{platform.node()}/{boot}/{Path('/proc/self/ns/pid').readlink()}"
    return f"{platform.node()}/{psutil.boot_time():.0f}"


def _this_process() -> dict[str, Any]:
    process = psutil.Process()
    return {"machine": _machine(), "pid": process.pid, "started": process.create_time()}


def _is_gone(process: Mapping[str, Any]) -> bool:
    """Whether the holder's process ran on this machine and has ended."""
    if process.get("machine") != _machine():
        return False
    try:
        same_pid = psutil.Process(int(process["pid"]))
        is_another = abs(same_pid.create_time() - float(process["started"])) > 1.0
        # A zombie has ended, but its parent has not asked for its exit code yet.
        return bool(is_another or same_pid.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False
