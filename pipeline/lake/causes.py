"""Why something failed, in one line that a user can act on."""

from __future__ import annotations

import re

from pipeline.planning.recovery import first_cause
from schemas.errors import SalesBatchError

# Errors of the machine, not of the data: the next date would meet them too.
_OF_THE_PLACE = (
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
)


def is_environment_error(error: Exception) -> bool:
    """Whether an error is of the machine that runs the batch, so that trying other dates is no use."""
    return any(text in str(error) for text in _OF_THE_PLACE)


def cause_of(error: Exception) -> str:
    """First cause of an error, in one line."""
    if isinstance(error, SalesBatchError):
        return str(error)
    # py4j's own first line names a call, and only the next one what went wrong.
    text = re.sub(r"^An error occurred while calling .*\n: ", "", str(error))
    return first_cause(text or type(error).__name__)


def explain(error: Exception) -> str:
    """What went wrong and what to do about it, in one line."""
    text = str(error)
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return "no space left on the disk of the lake or of Spark's local files: free some, then run again"
    if "java.lang.OutOfMemoryError" in text:
        return "out of memory: give Spark more (spark.driver.memory, spark.executor.memory), then run again"
    return cause_of(error)
