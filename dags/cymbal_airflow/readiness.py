"""Whether a drop can be read, judged from a listing of its folder and its manifest; knows no Airflow.

It is the rule by which the ingest answers 5 (input not ready), which lives in ``lake/landing.py`` and
``batch/ingest.py`` and needs Spark; a test holds the two together.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

MANIFEST_NAME = "manifest.json"
_ENDINGS = (".csv", ".csv.gz", ".json")


def why_not_ready(names: Collection[str], manifest: str | None) -> str | None:
    """Says what a drop still lacks.

    Args:
        names: file names in the drop's folder; empty where there is no folder.
        manifest: text of its manifest, None where there is none.

    Returns:
        The reason in words, or None where the ingest can take it up: to read it, or to say what is wrong
        with it, which no waiting would mend.
    """
    there = {name for name in names if not name.startswith((".", "_"))}
    content = _content_of(manifest)
    if manifest is not None and content is None:
        return None
    is_closed, expected = content or (False, [])
    missing = [name for name in expected if name not in there]
    if missing:
        return f"file {missing[0]} of the manifest is not there"
    if is_closed or any(name.endswith(_ENDINGS) for name in there - {MANIFEST_NAME}):
        return None
    return "no file, and no manifest that says it is closed"


def _content_of(manifest: str | None) -> tuple[bool, list[str]] | None:
    """Whether a manifest says closed, and the files it names; None where it is not of its form."""
    try:
        content: Any = json.loads(manifest or "")
        closed = content.get("closed", False)
        names = [str(file["name"]) for file in content.get("files", [])]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    is_known = set(content) <= {"closed", "files"} and isinstance(closed, bool)
    return (closed, names) if is_known else None
