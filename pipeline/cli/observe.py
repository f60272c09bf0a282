"""Publishes a run's metrics if an environment variable asks for it."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from pipeline import clock
from pipeline.report.summary import print_error
from schemas.addresses import HOLDS_SECRET, holds_secret


def publish_metrics(result: Mapping[str, Any], took: dt.timedelta) -> None:
    """Writes a run's metrics to the file or Pushgateway that ``CYMBAL_METRICS`` names; nothing if unset.

    A failed write prints an error and does not change the run's outcome.
    """
    target = os.environ.get("CYMBAL_METRICS")
    if not target:
        return
    if holds_secret(target):
        print_error(f"CYMBAL_METRICS: {HOLDS_SECRET}: name a file, or a Pushgateway that asks for none")
        return
    from pipeline.report.metrics import write_metrics  # most runs do not need its imports

    try:
        write_metrics(target, result, took, clock.now())
    except (OSError, ValueError, HTTPException) as error:
        print_error(f"CYMBAL_METRICS={target}: {getattr(error, 'strerror', None) or error}")
