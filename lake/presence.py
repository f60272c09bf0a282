"""Which runs are at work in a lake, told by files that they keep fresh: a killed one goes stale by itself."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from lake.files import FileStore
from schemas.errors import TryAgainError

FOLDER = "ledger/_running"
_EXCLUSIVE, _SHARED = "exclusive", "shared"
BEAT_SECONDS = 10.0
# Silent for this long, a run is taken as dead: a pause of a whole machine stays well below it.
STALE_SECONDS = 120.0


@dataclass(frozen=True)
class Present:
    """A run that is at work.

    Attributes:
        run_id: its id.
        is_exclusive: whether it bears no other run beside it.
        silent_seconds: since it was last heard of.
    """

    run_id: str
    is_exclusive: bool
    silent_seconds: float


class Presence:
    """One run's own sign of life, and a look at the others'."""

    def __init__(self, files: FileStore, run_id: str, *, is_exclusive: bool) -> None:
        """Takes the lake's files and the run."""
        self._files = files
        self._is_exclusive = is_exclusive
        self._sign = f"{_EXCLUSIVE if is_exclusive else _SHARED}.{run_id}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def begin(self) -> None:
        """Shows the run from now on.

        Raises:
            OSError: the file system refuses.
            TryAgainError: a run is at work beside which this one must not be.
        """
        self._show()
        self._thread.start()
        # Shown first, looked around after: of two that begin at once, at least one sees the other.
        for other in self.others():
            if other.is_exclusive or self._is_exclusive:
                self.end()
                raise at_work(other.run_id, other.silent_seconds)
        if self._is_exclusive:
            self._clear_dead()

    def check(self) -> None:
        """Nothing: others may commit beside this run, and Delta's log tells which of two was first."""

    def end(self) -> None:
        """Takes the sign away.

        Raises:
            OSError: the file system refuses.
        """
        self._ended.set()
        self._thread.join(timeout=BEAT_SECONDS)
        self._files.delete(f"{FOLDER}/{self._sign}")

    def others(self) -> list[Present]:
        """Other runs that are at work, by the clock of the file system, not of this machine.

        Raises:
            OSError: the file system refuses.
        """
        found = []
        for sign, silent_seconds in self._signs().items():
            kind, _, run_id = sign.partition(".")
            if silent_seconds < STALE_SECONDS:
                found.append(Present(run_id, kind == _EXCLUSIVE, silent_seconds))
        return found

    def _clear_dead(self) -> None:
        """Removes the signs of runs that were killed."""
        for sign, silent_seconds in self._signs().items():
            if silent_seconds >= STALE_SECONDS:
                self._files.delete(f"{FOLDER}/{sign}")

    def _signs(self) -> dict[str, float]:
        """Seconds since each other run was last heard of."""
        self._show()
        modified = {file.name: file.modified_ms for file in self._files.files(FOLDER)}
        own = modified.pop(self._sign)
        return {sign: max(0.0, (own - ms) / 1000) for sign, ms in sorted(modified.items())}

    def _show(self) -> None:
        self._files.write(f"{FOLDER}/{self._sign}", b"")

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            try:
                self._show()
            except OSError:
                continue  # told by the run's own writes, if it lasts


def at_work(run_id: str, silent_seconds: float) -> TryAgainError:
    """The error of a run that another one keeps out."""
    return TryAgainError(
        f"run {run_id} is at work in this lake (last heard of {silent_seconds:.0f} s ago): "
        "run again when it has ended"
    )
