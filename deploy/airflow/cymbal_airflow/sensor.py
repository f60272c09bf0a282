"""Waits for a drop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from airflow.sdk import BaseSensorOperator, ObjectStoragePath
from airflow.sdk.exceptions import AirflowFailException

from cymbal_airflow.readiness import MANIFEST_NAME, why_not_ready
from cymbal_airflow.settings import Site


class DropReadySensor(BaseSensorOperator):
    """Succeeds once a drop's folder can be ingested.

    Each check lists the folder and reads its manifest through fsspec: one or two requests on any store. The
    ``status`` job would start Spark each time. ``mode="reschedule"`` takes no slot between two checks, and
    needs no code of this project in the triggerer.
    """

    template_fields = ("drop_date",)

    def __init__(self, *, drop_date: str, **operator_arguments: Any) -> None:
        """Takes the drop date (YYYY-MM-DD, templated) and the arguments of every sensor."""
        super().__init__(**operator_arguments)
        self.drop_date = drop_date

    def poke(self, context: Any) -> bool:
        """Checks once whether the drop is ready.

        Raises:
            AirflowFailException: the landing is not set.
        """
        landing = Site.current().landing
        if landing is None:
            raise AirflowFailException(
                "the landing is not set: set the Variable cymbal_landing, or CYMBAL_LANDING"
            )
        # fsspec calls S3 by this scheme, Hadoop by the other.
        folder = ObjectStoragePath(landing.replace("s3a://", "s3://", 1)) / f"drop_date={self.drop_date}"
        reason = _check(folder, *_patterns(Site.current().config))
        self.log.info("%s: %s", folder, reason or "ready")
        return reason is None


def _patterns(config: str | None) -> tuple[list[str], list[str]]:
    """File names that the config's delivery profiles match, and those that it ignores."""
    if config is None or "://" in config:
        return [], []
    content = yaml.safe_load(Path(config).read_text(encoding="utf-8")) or {}
    profiles = [str(profile["files"]) for profile in content.get("deliveries") or []]
    return profiles, [str(pattern) for pattern in (content.get("landing") or {}).get("ignore") or []]


def _check(folder: ObjectStoragePath, profiles: list[str], ignored: list[str]) -> str | None:
    try:
        names = {path.name for path in folder.iterdir()}
        manifest = (folder / MANIFEST_NAME).read_text() if MANIFEST_NAME in names else None
    except FileNotFoundError:
        return "no such folder, or its files were moved just now"
    except UnicodeDecodeError:
        return None  # the ingest reports what is wrong with the manifest
    return why_not_ready(names, manifest, profiles, ignored)
