"""Which of Java's compilers a local run uses: a short run does not earn back what the second one costs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import yaml

from scripts.submission.request import ROOT, Request, path_here, without_option

# 1,000,000 lines of CSV are 105 MB. Up to there the first compiler (C1) alone costs less: 26 CPU seconds
# instead of 39 for 200,000 lines, 60 instead of 66 for 1,000,000 (measured).
SMALL_BYTES = 110_000_000
# These make lines, so the size of the landing says nothing about their work.
_MAKING_LINES = frozenset({"generate_sales", "drill"})
# With C1 alone Java reserves 48 MB for compiled code. A run over several gold tables needs more.
_FIRST_ONLY = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"


def compiler_options(request: Request) -> str:
    """Returns Java options for a local run whose landing and lake are small; else an empty text."""
    if request.target != "local" or request.job in _MAKING_LINES:
        return ""
    folders = _folders(request)
    return _FIRST_ONLY if folders is not None and _are_small(folders) else ""


def _folders(request: Request) -> list[Path] | None:
    """Returns the landing and the lake; None if one is not a folder of this host, or cannot be told here."""
    if any(word.startswith(("storage.", "--set=storage.")) for word in request.arguments):
        return None
    # Read the storage alone: pipeline.settings takes 90 ms to load (measured).
    names: dict[str, str] = {}
    _, config = without_option(request.arguments, "--config")
    try:
        for file in (ROOT / "configs" / "cymbal.yaml", *([Path(config)] if config else [])):
            names |= (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("storage") or {}
    except (OSError, ValueError, AttributeError, TypeError, yaml.YAMLError):
        return None  # the job names what is wrong with it
    for key in ("landing", "lake"):
        _, value = without_option(request.arguments, f"--{key}")
        names |= {key: value} if value else {}
    folders = [path_here(str(names.get(key))) for key in ("landing", "lake")]
    return [folder for folder in folders if folder] if all(folders) else None


def _are_small(folders: Sequence[Path]) -> bool:
    """Whether all files below the folders hold few bytes in all. Stops at the first that are too many."""
    left = SMALL_BYTES
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                try:
                    left -= os.stat(os.path.join(parent, name)).st_size  # noqa: PTH116, PTH118
                except OSError:
                    continue
                if left < 0:
                    return False
    return True
