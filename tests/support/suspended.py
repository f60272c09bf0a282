"""A run that is suspended: it sends no heartbeat, and was last heard of long ago."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

import pipeline.lake.lock
from pipeline.lake.lock import STALE_SECONDS


@contextmanager
def no_heartbeat() -> Iterator[None]:
    """Runs that begin in the context renew their lock no more. Else a renewal undoes :func:`silence_lock`."""
    with mock.patch.object(pipeline.lake.lock, "BEAT_SECONDS", 3600.0):
        yield


def silence_lock(lake: Path) -> None:
    """Makes the lock of a lake look as if its holder had not been heard of for long."""
    then = time.time() - STALE_SECONDS - 60
    for path in (lake / "ledger" / "_running").glob("lock*"):
        with suppress(FileNotFoundError):
            os.utime(path, (then, then))
