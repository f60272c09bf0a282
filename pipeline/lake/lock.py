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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from pipeline.lake.files import FileStatus, FileStore
from schemas.errors import TryAgainError, UsageError

FOLDER = "ledger/_running"
BEAT_SECONDS = 10.0
# A run without a heartbeat for this long counts as dead. A pause of a whole machine is mostly much shorter.
STALE_SECONDS = 120.0
_POLL_SECONDS = 2.0
_NAME = re.compile(r"lock\.(\d{12})")
_FREE = "free"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holder:
    """The content of the lock file with the highest number.

    Attributes:
        number: number of the file; 0 if there is no file.
        run_id: run that holds the lock; None if the lock is free, empty if the file cannot be read.
        process: machine and process of that run, as :func:`_this_process` returns them.
        silent_seconds: seconds since its last heartbeat.
    """

    number: int
    run_id: str | None
    process: Mapping[str, Any]
    silent_seconds: float


class LakeLock:
    """One run's access to the lock."""

    def __init__(self, files: FileStore, run_id: str) -> None:
        """Prepares the lock for a run; does not acquire it."""
        self._files = files
        self._run_id = run_id
        self._number = 0
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
        if highest != self._number:
            raise TryAgainError(
                f"{_describe_run(self._holder())} took this lake, because this run sent no heartbeat for "
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
        if self._number and max(self._numbers(), default=0) == self._number:
            self._files.write(_path(self._number), json.dumps({_FREE: self._run_id}).encode())

    def _try_to_acquire(self) -> TryAgainError | None:
        """Acquires the lock, or returns the error that names the run that holds it."""
        holder = self._holder()
        if holder.run_id is not None:
            is_gone = _is_gone(holder.process)
            if not is_gone and holder.silent_seconds < STALE_SECONDS:
                return _busy_error(holder)
            self.was_taken_over, self.holder_may_live = True, not is_gone
        if not self._files.create(_path(holder.number + 1), self._heartbeat()):
            self.was_taken_over = self.holder_may_live = False
            return _busy_error(self._holder())
        self._number = holder.number + 1
        return None

    def _check_store(self) -> None:
        """Checks that the store refuses to create a file that already exists.

        Raises:
            UsageError: the store overwrites the file.
        """
        if self._files.create(_path(self._number), self._heartbeat()):
            raise UsageError(
                f"lake {self._files.root}: its store overwrites a file that it must refuse to overwrite, so "
                "two runs at once would lose commits: use a store that creates a file only if it does not "
                "exist (on S3: If-None-Match)"
            )

    def _delete_older_files(self) -> None:
        for number in self._numbers():
            if number < self._number:
                self._files.delete(_path(number))

    def _numbers(self) -> list[int]:
        matches = (_NAME.fullmatch(file.name) for file in self._statuses())
        return [int(match.group(1)) for match in matches if match]

    def _statuses(self) -> list[FileStatus]:
        return list(self._files.files(FOLDER)) if self._files.exists(FOLDER) else []

    def _holder(self) -> Holder:
        lock_files = {file.name: file for file in self._statuses() if _NAME.fullmatch(file.name)}
        if not lock_files:
            return Holder(0, None, {}, 0.0)
        name = max(lock_files)
        content = self._read_heartbeat(lock_files[name])
        run_id = None if _FREE in content else str(content.get("run_id", ""))
        silent_seconds = 0.0 if run_id is None else self._silent_seconds(lock_files[name])
        return Holder(int(name.partition(".")[2]), run_id, content, silent_seconds)

    def _read_heartbeat(self, file: FileStatus) -> dict[str, Any]:
        """Reads a lock file; the result is empty while its holder writes the file."""
        try:
            content = json.loads(self._files.read(file.path, 1 << 12))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _heartbeat(self) -> bytes:
        self._beats += 1
        return json.dumps({"run_id": self._run_id, "beats": self._beats, **_this_process()}).encode()

    def _silent_seconds(self, file: FileStatus) -> float:
        """Returns the seconds since a lock file was last written, by the clock of the store."""
        name = f"{FOLDER}/clock.{self._run_id}"
        now_ms = self._files.write(name, b"").modified_ms
        self._files.delete(name)
        return max(0.0, (now_ms - file.modified_ms) / 1000)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            with suppress(OSError):  # a persistent failure surfaces in the run's own writes
                self._files.write(_path(self._number), self._heartbeat())


def _busy_error(holder: Holder) -> TryAgainError:
    return TryAgainError(
        f"{_describe_run(holder)} is at work in this lake "
        f"(last heartbeat {holder.silent_seconds:.0f} s ago): run again when it has ended, or "
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
        return bool(abs(same_pid.create_time() - float(process["started"])) > 1.0)
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False
