"""Watches a lake from outside: who holds its lock, and how far that run is. Takes and writes nothing."""

from __future__ import annotations

import time

from pipeline.lake.files import FileStore
from pipeline.lake.lock import read_holder
from pipeline.lake.progress_file import read_progress
from pipeline.planning.watching import WatchedRun


class LakeWatcher:
    """Looks at a lake again and again."""

    def __init__(self, files: FileStore) -> None:
        """Watches the lake with these files."""
        self._files = files
        self._seen: tuple[int, int] | None = None
        self._changed_at = time.monotonic()

    def look(self) -> WatchedRun:
        """Looks once.

        Raises:
            OSError: the store refuses.
        """
        holder = read_holder(self._files)
        seen = (holder.number, holder.heartbeat_ms)
        if seen != self._seen:
            self._seen, self._changed_at = seen, time.monotonic()
        return WatchedRun(
            run_id=holder.run_id,
            is_gone=holder.run_id is not None and holder.is_gone,
            unchanged_seconds=time.monotonic() - self._changed_at,
            age_seconds=time.time() - holder.heartbeat_ms / 1000,
            progress=read_progress(self._files, holder.number) if holder.number else None,
        )
