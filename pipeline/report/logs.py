"""Logs of a run: Python's logging, as lines for a person or as JSON objects for a machine.

``CYMBAL_LOG_FORMAT=json`` asks for JSON. Its field names are those of the Elastic Common Schema, as in the
JSON form of Spark's own log.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import unicodedata
from typing import Any, TextIO

# Loggers of the modules whose records a run shows: an INFO record is the step that begins.
LOGGERS = ("pipeline", "jobs", "tools")
# Control characters, those that turn the direction of text, and separators of lines.
_CONTROLS = ("Cc", "Cf", "Zl", "Zp")


def is_structured() -> bool:
    """Whether the caller wants JSON."""
    return os.environ.get("CYMBAL_LOG_FORMAT") == "json"


def escape_controls(text: str) -> str:
    """Writes control characters as escapes: a delivered name must not break a line or drive a terminal."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _CONTROLS
        else character
        for character in text
    )


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object, dated in UTC; its ``fields`` stand under ``cymbal.``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        at = dt.datetime.fromtimestamp(record.created, dt.UTC)
        fields = getattr(record, "fields", {})
        event = {
            "@timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "log.level": "WARN" if record.levelno == logging.WARNING else record.levelname,
            "message": record.getMessage(),
            "service.name": "cymbal-sales",
            **{f"cymbal.{name}": value for name, value in fields.items()},
        }
        return json.dumps(event, default=str)


def write_event(stream: TextIO, level: int, message: str, **fields: Any) -> None:
    """Writes one JSON object to a stream.

    Args:
        stream: the run's stdout or stderr.
        level: level of Python's logging.
        message: for a person.
        fields: further values.
    """
    record = logging.LogRecord("cymbal", level, "", 0, message, None, None)
    record.fields = fields
    stream.write(JsonFormatter().format(record) + "\n")
    stream.flush()
