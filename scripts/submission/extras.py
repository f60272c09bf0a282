"""Optional outputs of a run. One environment variable enables each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from scripts.submission.request import SubmissionError


def extra_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns Spark's settings for the event log (``CYMBAL_EVENTS``) and for lineage (``CYMBAL_LINEAGE``).

    Raises:
        SubmissionError: a value is invalid, or the folder of event logs cannot be created.
        OSError: the folder of the lineage file cannot be created.
    """
    settings: dict[str, str] = {}
    if environment.get("CYMBAL_EVENTS"):
        settings |= _event_log(environment["CYMBAL_EVENTS"])
    if environment.get("CYMBAL_LINEAGE"):
        settings |= _lineage(environment["CYMBAL_LINEAGE"])
    return settings


def _event_log(folder: str) -> dict[str, str]:
    """Enables the event log that scripts/history.sh shows. Creates a local folder, because Spark does not."""
    if "://" not in folder:
        path = Path(folder).absolute()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SubmissionError(f"CYMBAL_EVENTS={folder}: {error.strerror}") from None
        folder = path.as_uri()
    return {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": folder,
        "spark.eventLog.compress": "true",
        # One file per run: the log of a night is small.
        "spark.eventLog.rolling.enabled": "false",
    }


def _lineage(target: str) -> dict[str, str]:
    """Enables OpenLineage's listener, which writes its events to a file or sends them to an HTTP server."""
    settings = {
        "spark.extraListeners": "io.openlineage.spark.agent.OpenLineageSparkListener",
        "spark.openlineage.namespace": "cymbal-sales",
        # The plan of each query, as text, makes an event hundreds of kilobytes long, and nobody reads it.
        "spark.openlineage.facets.spark.logicalPlan.disabled": "true",
    }
    parts = urlsplit(target)
    if parts.scheme in ("http", "https"):
        endpoint = {"spark.openlineage.transport.endpoint": parts.path} if parts.path.strip("/") else {}
        return {
            **settings,
            "spark.openlineage.transport.type": "http",
            "spark.openlineage.transport.url": f"{parts.scheme}://{parts.netloc}",
            **endpoint,
        }
    if parts.scheme:
        raise SubmissionError(f"CYMBAL_LINEAGE={target}: the path of a file, or http(s)://HOST:PORT")
    path = Path(target).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SubmissionError(f"CYMBAL_LINEAGE={target}: cannot make its folder: {error.strerror}") from None
    return {
        **settings,
        "spark.openlineage.transport.type": "file",
        "spark.openlineage.transport.location": str(path),
    }
