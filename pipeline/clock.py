"""The clock of the engine, in one place, so that a test can set it. No decision about content reads it."""

from __future__ import annotations

import datetime as dt


def now() -> dt.datetime:
    """The time, in UTC."""
    return dt.datetime.now(dt.UTC)
