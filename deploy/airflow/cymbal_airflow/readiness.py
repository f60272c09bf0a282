"""Decides from a drop's folder listing and manifest whether it can be read. Does not need Airflow.

The ingest ends with 5 (input not ready) by the same rule, in ``pipeline/planning/readiness.py``. A test
compares the two. The ingest also opens each file, and ends with 5 for a file without a line.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Collection, Sequence
from typing import Any

_NOT_READ = (
    "is not read: a drop holds *.csv, *.json and *.parquet files, files of a delivery profile, and no "
    "sub-folder"
)
MANIFEST_NAME = "manifest.json"
_COMPRESSIONS = (".gz", ".bz2", ".zst", ".zip")
_ENDINGS = (
    ".parquet",
    *(f"{form}{compression}" for form in (".csv", ".json") for compression in ("", *_COMPRESSIONS)),
)


def why_not_ready(
    names: Collection[str], manifest: str | None, profiles: Sequence[str] = (), ignored: Sequence[str] = ()
) -> str | None:
    """Says what a drop still lacks.

    Args:
        names: file names in the drop's folder; empty if there is no folder.
        manifest: text of its manifest; None if there is none.
        profiles: patterns of file names that delivery profiles of the config match.
        ignored: patterns of file names that the config ignores (``landing.ignore``).

    Returns:
        The reason; None if the ingest can start, either to read the drop or to report an error in it that
        no waiting would fix.
    """
    visible = {n for n in names if not n.startswith((".", "_")) and not _is_ignored(n, ignored)}
    content = _content_of(manifest)
    if manifest is not None and content is None:
        return None
    is_closed, listed = content or (False, None)
    files = sorted(visible - {MANIFEST_NAME})
    missing = [name for name in listed or [] if name not in visible]
    if missing:
        return f"file {missing[0]} of the manifest is not there"
    unrecognized = [name for name in files if not (_matches(name, profiles) or _is_contract(name))]
    left_out = f"{unrecognized[0]} {_NOT_READ}" if unrecognized else _unstated(files, is_closed, listed)
    if left_out or files or is_closed:
        return left_out
    return "no file, and no manifest that says it is closed"


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def _is_ignored(name: str, ignored: Sequence[str]) -> bool:
    return name != MANIFEST_NAME and _matches(name, ignored)


def _is_contract(name: str) -> bool:
    return name.lower().endswith(_ENDINGS)


def _unstated(files: list[str], is_closed: bool, listed: list[str] | None) -> str | None:
    if is_closed and files:
        return f"the manifest says closed, but file {files[0]} is there"
    unlisted = [name for name in files if listed is not None and name not in listed]
    return f"file {unlisted[0]} is not in the manifest's list of files" if unlisted else None


def _content_of(manifest: str | None) -> tuple[bool, list[str] | None] | None:
    """Returns closed and the listed files (None without a list); None for a manifest that is not valid."""
    try:
        content: Any = json.loads(manifest or "")
        closed = content.get("closed", False)
        names = [str(file["name"]) for file in content["files"]] if "files" in content else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    is_known = set(content) <= {"closed", "files"} and isinstance(closed, bool)
    return (closed, names) if is_known else None
