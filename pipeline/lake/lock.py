"""The lock of a lake: one run that writes at a time, on every store.

A run takes the lock by creating the next of the files ``lock.<number>``, which every store lets only one of
several do. Nobody writes the file of another run, so the highest number holds the lock, and a number is never
used again. The holder writes its file anew every few seconds. A holder that was silent for STALE_SECONDS, by
the clock of the store, loses the lock to the next that asks. So does one whose process is known to be gone.

A run that was suspended and wakes up finds a higher number before its next commit. A commit under way is
stopped by Delta itself: whoever takes a lock over raises the transaction numbers of the tables
(:meth:`pipeline.lake.tables.Lake.fence`).
"""

from __future__ import annotations

import json
import platform
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from pipeline.lake.files import FileStatus, FileStore
from schemas.errors import TryAgainError, UsageError

FOLDER = "ledger/_running"
BEAT_SECONDS = 10.0
# Silent for this long, a run is taken as dead: a pause of a whole machine mostly stays well below it.
STALE_SECONDS = 120.0
_POLL_SECONDS = 2.0
_NAME = re.compile(r"lock\.(\d{12})")
_FREE = "free"


@dataclass(frozen=True)
class Holder:
    """What the file of the highest number says.

    Attributes:
        number: of the file; 0 where there is none.
        run_id: run that holds the lock; None where it is free, empty where that cannot be read.
        process: machine and process of that run, as :func:`_this_process` tells them.
        silent_seconds: since it was last heard of.
    """

    number: int
    run_id: str | None
    process: Mapping[str, Any]
    silent_seconds: float


class LakeLock:
    """The lock, as one run sees it."""

    def __init__(self, files: FileStore, run_id: str) -> None:
        """Takes the lake's files and the run."""
        self._files = files
        self._run_id = run_id
        self._number = 0
        self._beats = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self.was_taken_over = False
        self.holder_may_live = False

    def begin(self, wait_seconds: float = 0.0, tell: Callable[[str], None] = lambda text: None) -> None:
        """Takes the lock and keeps it.

        Args:
            wait_seconds: how long to wait for another run that holds it.
            tell: says what is waited for.

        Raises:
            TryAgainError: another run holds it.
            UsageError: the store cannot keep one.
        """
        until = time.monotonic() + wait_seconds
        try:
            while True:
                busy = self._take()
                if busy is None:
                    break
                if time.monotonic() >= until:
                    raise busy
                tell(f"waiting for the lake: {busy}")
                time.sleep(min(_POLL_SECONDS, max(0.0, until - time.monotonic())))
            self._check_store()
            self._clear_older()
        except OSError as error:
            raise UsageError(f"lake {self._files.root}: cannot be locked: {error}") from None
        self._thread.start()

    def check(self) -> None:
        """Proves that the lock is still this run's: before each commit.

        Raises:
            OSError: the store refuses.
            TryAgainError: the run was silent for too long, and another one took the lock.
        """
        highest = max(self._numbers(), default=0)
        if highest != self._number:
            other = self._holder()
            raise TryAgainError(
                f"run {other.run_id or 'another'} took this lake, since this one was silent for more than "
                f"{STALE_SECONDS:.0f} s; run again"
            )

    def end(self) -> None:
        """Frees the lock, unless it is another's by now.

        Raises:
            OSError: the store refuses.
        """
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout=BEAT_SECONDS)
        if self._number and max(self._numbers(), default=0) == self._number:
            self._files.write(_path(self._number), json.dumps({_FREE: self._run_id}).encode())

    def _take(self) -> TryAgainError | None:
        """Takes the lock; the error that tells who has it, where another run does."""
        holder = self._holder()
        if holder.run_id is not None:
            is_gone = _is_gone(holder.process)
            if not is_gone and holder.silent_seconds < STALE_SECONDS:
                return at_work(holder.run_id or "of another", holder.silent_seconds)
            self.was_taken_over, self.holder_may_live = True, not is_gone
        if not self._files.create(_path(holder.number + 1), self._sign()):
            self.was_taken_over = self.holder_may_live = False
            other = self._holder()
            return at_work(other.run_id or "of another", other.silent_seconds)
        self._number = holder.number + 1
        return None

    def _check_store(self) -> None:
        """Proves that the store creates no file over one that is there."""
        if self._files.create(_path(self._number), self._sign()):
            raise UsageError(
                f"lake {self._files.root}: its store writes over a file that must not be there, so that two "
                "runs at once would lose commits: use a store that creates a file only where there is none "
                "(on S3: If-None-Match)"
            )

    def _clear_older(self) -> None:
        for number in self._numbers():
            if number < self._number:
                self._files.delete(_path(number))

    def _numbers(self) -> list[int]:
        found = (_NAME.fullmatch(file.name) for file in self._statuses())
        return [int(match.group(1)) for match in found if match]

    def _statuses(self) -> list[FileStatus]:
        return list(self._files.files(FOLDER)) if self._files.exists(FOLDER) else []

    def _holder(self) -> Holder:
        signs = {file.name: file for file in self._statuses() if _NAME.fullmatch(file.name)}
        if not signs:
            return Holder(0, None, {}, 0.0)
        name = max(signs)
        said = self._said(signs[name])
        run_id = None if _FREE in said else str(said.get("run_id", ""))
        silent = 0.0 if run_id is None else self._silent_seconds(signs[name])
        return Holder(int(name.partition(".")[2]), run_id, said, silent)

    def _said(self, file: FileStatus) -> dict[str, Any]:
        """Content of a lock file; nothing while its holder writes it."""
        try:
            found = json.loads(self._files.read(file.path, 1 << 12))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _sign(self) -> bytes:
        self._beats += 1
        return json.dumps({"run_id": self._run_id, "beats": self._beats, **_this_process()}).encode()

    def _silent_seconds(self, found: FileStatus) -> float:
        """Since the lock was last written, by the clock of the store."""
        name = f"{FOLDER}/clock.{self._run_id}"
        now_ms = self._files.write(name, b"").modified_ms
        self._files.delete(name)
        return max(0.0, (now_ms - found.modified_ms) / 1000)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            with suppress(OSError):  # a persistent failure surfaces in the run's own writes
                self._files.write(_path(self._number), self._sign())


def at_work(run_id: str, silent_seconds: float) -> TryAgainError:
    """The error of a run that another one keeps out."""
    return TryAgainError(
        f"run {run_id} is at work in this lake (last heard of {silent_seconds:.0f} s ago): "
        "run again when it has ended, or give --wait SECONDS"
    )


def _path(number: int) -> str:
    return f"{FOLDER}/lock.{number:012d}"


def _machine() -> str:
    """This machine since it was started, and the space in which its process ids count."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{platform.node()}/{boot}/{Path('/proc/self/ns/pid').readlink()}"
    return f"{platform.node()}/{psutil.boot_time():.0f}"


def _this_process() -> dict[str, Any]:
    process = psutil.Process()
    return {"machine": _machine(), "pid": process.pid, "started": process.create_time()}


def _is_gone(process: Mapping[str, Any]) -> bool:
    """Whether the process of a holder was of this machine and is there no more."""
    if process.get("machine") != _machine():
        return False
    try:
        found = psutil.Process(int(process["pid"]))
        return bool(abs(found.create_time() - float(process["started"])) > 1.0)
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False
