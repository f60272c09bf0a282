"""What a run may tell others, each asked for by one variable of the environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from scripts.submission.request import SubmissionError


def extra_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Spark's settings for the event log (``CYMBAL_EVENTS``) and for lineage (``CYMBAL_LINEAGE``).

    Raises:
        SubmissionError: a value is not of a form that can be taken.
    """
    settings: dict[str, str] = {}
    if environment.get("CYMBAL_EVENTS"):
        settings |= _event_log(environment["CYMBAL_EVENTS"])
    if environment.get("CYMBAL_LINEAGE"):
        settings |= _lineage(environment["CYMBAL_LINEAGE"])
    return settings


def _event_log(folder: str) -> dict[str, str]:
    """Read by scripts/history.sh; a folder on this host is made, which Spark would miss."""
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
        # One file a run: a night's is small.
        "spark.eventLog.rolling.enabled": "false",
    }


def _lineage(target: str) -> dict[str, str]:
    """OpenLineage's listener, and where its events go: a file, or a server that takes them over HTTP."""
    settings = {
        "spark.extraListeners": "io.openlineage.spark.agent.OpenLineageSparkListener",
        "spark.openlineage.namespace": "cymbal-sales",
        # A plan of every query as text makes an event hundreds of kilobytes long, and nobody reads it.
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
    path.parent.mkdir(parents=True, exist_ok=True)
    return {
        **settings,
        "spark.openlineage.transport.type": "file",
        "spark.openlineage.transport.location": str(path),
    }
