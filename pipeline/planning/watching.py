"""Tells from the lock and the progress file of a lake what became of the run that holds it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.planning.progress import RunProgress


class RunState(StrEnum):
    """What a watcher sees of a run."""

    NONE = "none"
    AT_WORK = "at work"
    ENDED = "ended"
    KILLED = "killed"
    SILENT = "silent"


@dataclass(frozen=True)
class WatchedRun:
    """What one look at a lake showed.

    Attributes:
        run_id: run that holds the lock; None if the lock is free, or if another run holds it by now.
        followed: the run that is watched; None if none held the lock yet.
        is_gone: whether its process ran on this machine and has ended.
        unchanged_seconds: seconds since the watcher saw a heartbeat change, by its own clock.
        age_seconds: seconds from the last heartbeat, by the store's clock, to now, by the watcher's.
        progress: how far the run is; None if its file is missing or half written.
    """

    run_id: str | None
    is_gone: bool
    unchanged_seconds: float
    age_seconds: float
    progress: RunProgress | None
    followed: str | None = None

    def state(self, beat_seconds: float, stale_seconds: float) -> RunState:
        """What became of the run.

        Two clocks may differ. So a run counts as silent only if the watcher itself saw no heartbeat for
        ``stale_seconds``, or for three beats of one that is that old.

        Args:
            beat_seconds: seconds between two heartbeats.
            stale_seconds: silence after which a run counts as dead.
        """
        if self.run_id is None:
            return RunState.NONE if self.progress is None else RunState.ENDED
        if self.progress is not None and self.progress.ended:
            return RunState.ENDED
        if self.is_gone:
            return RunState.KILLED
        is_old = self.age_seconds >= stale_seconds and self.unchanged_seconds >= 3 * beat_seconds
        return RunState.SILENT if is_old or self.unchanged_seconds >= stale_seconds else RunState.AT_WORK
