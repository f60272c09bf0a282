"""Decides from the listing of a drop's folder and its manifest whether the drop can be read."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.drops import Drop


def why_not_ready(drop: Drop, endings: Sequence[str]) -> str | None:
    """Returns what a drop lacks, or which file in it no ingest would read.

    Args:
        drop: the drop, with its manifest read.
        endings: endings of the files that an ingest reads.

    Returns:
        The reason; None if the drop can be read. A drop with an invalid manifest counts as ready: waiting
        would not help, so its ingest fails.
    """
    if drop.problem is not None:
        return None
    if drop.missing_files:
        return f"file {drop.missing_files[0]} of the manifest is not there"
    return _file_left_out(drop, endings) or _nothing_there(drop)


def _file_left_out(drop: Drop, endings: Sequence[str]) -> str | None:
    if drop.unrecognized_files:
        name = drop.unrecognized_files[0]
        *others, last = (f"*{ending}" for ending in endings)
        return f"{name} is not read: a drop holds {', '.join(others)} and {last} files, and no sub-folder"
    if drop.is_closed and drop.files:
        return f"the manifest says closed, but file {drop.files[0].name} is there"
    if drop.unlisted_files:
        return f"file {drop.unlisted_files[0]} is not in the manifest's list of files"
    return None


def _nothing_there(drop: Drop) -> str | None:
    if drop.files or drop.is_closed:
        return None
    return "no file, and no manifest that says it is closed"
