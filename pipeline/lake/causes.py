"""Explains an error in one line that a user can act on."""

from __future__ import annotations

import re

from pipeline.planning.recovery import first_cause
from schemas.errors import SalesBatchError

# Errors of the machine, not of the data: the next date would fail with the same error.
_ENVIRONMENT_ERRORS = (
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
)


def is_environment_error(error: Exception) -> bool:
    """Whether the machine caused the error, so that other dates would fail too."""
    return any(text in str(error) for text in _ENVIRONMENT_ERRORS)


def cause_of(error: Exception) -> str:
    """Returns the first cause of an error in one line."""
    if isinstance(error, SalesBatchError):
        return str(error)
    # py4j's first line only names the call. The next line holds the cause.
    text = re.sub(r"^An error occurred while calling .*\n: ", "", str(error))
    return first_cause(text or type(error).__name__)


def delta_message(error: Exception) -> str:
    """Returns the message of an error of Delta in one line, with all that it lists, and without its stack."""
    text, _, _ = str(error).partition("\n\tat ")
    message = text[max(text.find("[DELTA_"), 0) :]
    return " ".join(message.split())


def explain(error: Exception) -> str:
    """Returns the cause of an error and, if known, the remedy, in one line."""
    text = str(error)
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return "no space left on the disk of the lake or of Spark's local files: free some, then run again"
    if "java.lang.OutOfMemoryError" in text:
        return "out of memory: give Spark more (spark.driver.memory, spark.executor.memory), then run again"
    return cause_of(error)
