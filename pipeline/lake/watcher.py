"""Watches a lake from outside: who holds its lock, and how far that run is. Takes and writes nothing."""

from __future__ import annotations

import time

from pipeline.lake.files import FileStore
from pipeline.lake.lock import read_holder
from pipeline.lake.progress_file import read_progress
from pipeline.planning.watching import WatchedRun


class LakeWatcher:
    """Looks at a lake again and again, until the run that it follows holds the lake no more."""

    def __init__(self, files: FileStore) -> None:
        """Watches the lake with these files."""
        self._files = files
        self._followed: tuple[int, str] | None = None
        self._seen: tuple[int, int] | None = None
        self._changed_at = time.monotonic()

    def look(self) -> WatchedRun:
        """Looks once. The first run that holds the lake is the one to follow.

        Raises:
            OSError: the store refuses.
        """
        holder = read_holder(self._files)
        if self._followed is not None and holder.number != self._followed[0]:
            return self._of_former_holder(*self._followed)
        progress = read_progress(self._files, holder.number) if holder.number else None
        has_ended = progress is not None and progress.ended
        if holder.run_id is not None and self._followed is None and not has_ended:
            self._followed = holder.number, holder.run_id
        seen = (holder.number, holder.heartbeat_ms)
        if seen != self._seen:
            self._seen, self._changed_at = seen, time.monotonic()
        return WatchedRun(
            run_id=holder.run_id,
            followed=self._followed[1] if self._followed else None,
            is_gone=holder.run_id is not None and holder.is_gone,
            unchanged_seconds=time.monotonic() - self._changed_at,
            age_seconds=time.time() - holder.heartbeat_ms / 1000,
            progress=progress,
        )

    def _of_former_holder(self, number: int, run_id: str) -> WatchedRun:
        """How a run ended whose lock another one has taken since: its file stays until the next one."""
        return WatchedRun(
            run_id=None,
            followed=run_id,
            is_gone=False,
            unchanged_seconds=0.0,
            age_seconds=0.0,
            progress=read_progress(self._files, number),
        )
