"""The messages of a run as JSON, one object per line, if ``CYMBAL_LOG_FORMAT=json``.

Field names follow the Elastic Common Schema, as in Spark's own JSON log.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from typing import Any, TextIO

INFO, WARNING, ERROR = "INFO", "WARN", "ERROR"


def is_structured() -> bool:
    """Says whether the caller wants JSON."""
    return os.environ.get("CYMBAL_LOG_FORMAT") == "json"


def tell(stream: TextIO, level: str, message: str, **fields: Any) -> None:
    """Writes one event with the current time in UTC.

    Args:
        stream: the stream to write to.
        level: INFO, WARNING or ERROR of this module.
        message: text for a person.
        fields: further fields, named ``cymbal.NAME``.
    """
    event = {
        "@timestamp": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "log.level": level,
        "message": message,
        "service.name": "cymbal-sales",
        **{f"cymbal.{name}": value for name, value in fields.items()},
    }
    stream.write(json.dumps(event, default=str) + "\n")
    stream.flush()
