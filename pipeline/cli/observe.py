"""What others may watch of a run, asked for by a variable of the environment."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from typing import Any

from pipeline.lake.ledger import now
from pipeline.report.summary import print_error


def publish_metrics(result: Mapping[str, Any], took: dt.timedelta) -> None:
    """Hands a run's metrics to Prometheus, where ``CYMBAL_METRICS`` says so: a file, or a Pushgateway.

    One that cannot be written is told, and changes nothing of the run.
    """
    target = os.environ.get("CYMBAL_METRICS")
    if not target:
        return
    from pipeline.report.metrics import write_metrics  # its imports are of no use to most runs

    try:
        write_metrics(target, result, took, now())
    except (OSError, ValueError) as error:
        print_error(f"CYMBAL_METRICS={target}: {getattr(error, 'strerror', None) or error}")
