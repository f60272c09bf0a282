"""Waits for a drop."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseSensorOperator, ObjectStoragePath
from airflow.sdk.exceptions import AirflowFailException

from cymbal_airflow.readiness import MANIFEST_NAME, why_not_ready
from cymbal_airflow.settings import Site


class DropReadySensor(BaseSensorOperator):
    """Succeeds once a drop's folder can be ingested.

    It lists the one folder and reads its manifest, through fsspec: a request or two a look on any store,
    where the ``status`` job would start Spark each time. ``mode="reschedule"`` takes no slot between two
    looks, and needs no code of this project in the triggerer.
    """

    template_fields = ("drop_date",)

    def __init__(self, *, drop_date: str, **more: Any) -> None:
        """Takes the drop date (YYYY-MM-DD, templated)."""
        super().__init__(**more)
        self.drop_date = drop_date

    def poke(self, context: Any) -> bool:
        """Looks once.

        Raises:
            AirflowFailException: it is not told where the landing is.
        """
        landing = Site.current().landing
        if landing is None:
            raise AirflowFailException(
                "where is the landing? Set the Variable cymbal_landing, or CYMBAL_LANDING"
            )
        # fsspec knows the store by this name, Hadoop by the other.
        folder = ObjectStoragePath(landing.replace("s3a://", "s3://", 1)) / f"drop_date={self.drop_date}"
        reason = _look(folder)
        self.log.info("%s: %s", folder, reason or "ready")
        return reason is None


def _look(folder: ObjectStoragePath) -> str | None:
    try:
        names = {path.name for path in folder.iterdir()}
        manifest = (folder / MANIFEST_NAME).read_text() if MANIFEST_NAME in names else None
    except FileNotFoundError:
        return "no such folder, or its files were moved just now"
    except UnicodeDecodeError:
        return None  # the ingest says what is wrong with the manifest
    return why_not_ready(names, manifest)
