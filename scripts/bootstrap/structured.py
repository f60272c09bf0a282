"""What a run tells, as JSON objects a line, for a machine to read: asked for by ``CYMBAL_LOG_FORMAT=json``.

Field names are those of the Elastic Common Schema, as in Spark's own log of the same form.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from typing import Any, TextIO

INFO, WARNING, ERROR = "INFO", "WARN", "ERROR"


def is_structured() -> bool:
    """Whether the caller wants JSON."""
    return os.environ.get("CYMBAL_LOG_FORMAT") == "json"


def tell(stream: TextIO, level: str, message: str, **fields: Any) -> None:
    """Writes one event, dated now, in UTC.

    Args:
        stream: where to.
        level: one of those of this module.
        message: for a person.
        fields: more, under ``cymbal.``.
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
