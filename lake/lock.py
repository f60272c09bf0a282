"""The lock of a lake on S3: one run that writes at a time.

Elsewhere a file is created by one of two writers only, which is what Delta's commits rest on, and runs may be
at work side by side (lake/presence.py). On S3, Delta looks whether a version of its log is there and then
writes it: of two that do so at once, both are told that they committed, and one commit is lost.

The lock is one object. It is only written on the condition that it is still as it was seen, which the store
proves: of two that take it at once, one does. It is never deleted: a free one is empty. Its holder writes it
every few seconds; silent for STALE_SECONDS by the clock of the store, it loses it to the next that asks.
"""

from __future__ import annotations

import threading
from contextlib import suppress

from lake.files import FileStatus, FileStore
from lake.presence import BEAT_SECONDS, FOLDER, STALE_SECONDS, Presence, at_work
from schemas.errors import TryAgainError, UsageError

_NAME = f"{FOLDER}/lock"
_FREE = b""
# What is in the lock is read in two requests, and its holder may write it in between.
_LOOKS = 3


class Lock:
    """The lock, as one run sees it."""

    def __init__(self, files: FileStore, run_id: str) -> None:
        """Takes the lake's files and the run."""
        self._files = files
        self._run_id = run_id
        self._beats = 0
        self._version: str | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def begin(self) -> None:
        """Takes the lock and keeps it.

        Raises:
            TryAgainError: another run holds it.
            UsageError: the store cannot keep one.
        """
        try:
            self._take()
            keeps_conditions = not self._files.write_if_unchanged(_NAME, self._sign(), None)
        except OSError as error:
            raise UsageError(f"lake {self._files.root}: cannot be locked: {error}") from None
        if not keeps_conditions:
            raise UsageError(
                f"lake {self._files.root}: its store writes over a file that must not be there "
                "(If-None-Match), so that two runs at once would lose commits: use a store that does not"
            )
        self._thread.start()

    def check(self) -> None:
        """Proves that the lock is still this run's: before each commit.

        Raises:
            OSError: the store refuses.
            TryAgainError: the run was silent for too long, and another one took the lock.
        """
        holder = self._holder()
        if holder != self._run_id:
            raise TryAgainError(
                f"run {holder or 'another'} took this lake, since this one was silent for more than "
                f"{STALE_SECONDS:.0f} s; run again"
            )

    def end(self) -> None:
        """Frees the lock, unless it is another's by now.

        Raises:
            OSError: the store refuses.
        """
        self._ended.set()
        self._thread.join(timeout=BEAT_SECONDS)
        if self._version is not None:
            self._files.write_if_unchanged(_NAME, _FREE, self._version)

    def _take(self) -> None:
        found = self._files.status(_NAME)
        holder = self._holder() if found is not None and found.size else ""
        if found is not None and holder:
            silent_seconds = self._silent_seconds(found)
            if silent_seconds < STALE_SECONDS:
                raise at_work(holder, silent_seconds)
        self._write(None if found is None else found.version)
        if self._version is None:
            raise at_work(self._holder() or "of another", 0)

    def _write(self, version: str | None) -> None:
        """Says that the run lives, over a version of the lock; notes what is there after it."""
        self._beats += 1
        self._files.write_if_unchanged(_NAME, self._sign(), version)
        # Also where the answer to a write was lost: what counts is what is there. Its version first: a lock
        # that was taken away never comes back, so that one which now holds our name did so before, too.
        found = self._files.status(_NAME)
        self._version = found.version if found is not None and self._holder() == self._run_id else None

    def _sign(self) -> bytes:
        """The number makes each a version of its own: a renewed lock is not taken for the one before."""
        return f"{self._run_id} {self._beats}".encode()

    def _holder(self) -> str:
        """Run that holds the lock; empty where none does."""
        for look in range(1, _LOOKS + 1):
            try:
                content = self._files.read(f"{self._files.root.rstrip('/')}/{_NAME}", 1 << 10)
                return content.decode().partition(" ")[0]
            except OSError:
                if look == _LOOKS:
                    raise
        return ""

    def _silent_seconds(self, found: FileStatus) -> float:
        """Since the lock was last written, by the clock of the store."""
        name = f"{FOLDER}/clock.{self._run_id}"
        now_ms = self._files.write(name, b"").modified_ms
        self._files.delete(name)
        return max(0.0, (now_ms - found.modified_ms) / 1000)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            with suppress(OSError):  # told by the run's own writes, if it lasts
                self._write(self._version)


def sign_of_life(files: FileStore, run_id: str, *, is_exclusive: bool) -> Presence | Lock:
    """How a run shows itself in a lake, and keeps others out where it must."""
    return Lock(files, run_id) if files.is_on_s3 else Presence(files, run_id, is_exclusive=is_exclusive)
