"""Writes the HTML page of a run if ``--report`` asks for it. A failure is a warning and no more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.lake.causes import explain
from pipeline.steps.context import Batch
from schemas.errors import UsageError

# A store that does not answer must not hold up the one who waits for the run.
_SECONDS = 120.0
INSTALL = ".venv/bin/python -m pip install -r requirements-report.lock"


@contextmanager
def without_packages() -> Iterator[None]:
    """Names what to install where a package of pages is missing.

    Raises:
        UsageError: one is missing.
    """
    try:
        yield
    except ImportError as error:
        raise UsageError(f"pages need the package {error.name}: {INSTALL}") from None


def write_page(batch: Batch, folder: str) -> str | None:
    """Writes the page of a run that has recorded its end.

    Args:
        batch: the run.
        folder: path or URI.

    Returns:
        Address of the page; None if it was not written: then a warning says why.
    """
    written: list[str] = []
    failed: list[str] = []
    thread = threading.Thread(target=_write, args=(batch, folder, written, failed), daemon=True)
    thread.start()
    thread.join(timeout=_SECONDS)
    if written:
        return written[0]
    reason = failed[0] if failed else f"it took longer than {_SECONDS:.0f} s: does the folder answer?"
    batch.outcome.warnings.append(f"--report {folder}: the page was not written: {reason}")
    return None


def _write(batch: Batch, folder: str, written: list[str], failed: list[str]) -> None:
    try:
        from pipeline.report.pages.collect import collect_live  # its packages are in the extra `report`
        from pipeline.report.pages.files import store_page

        written.append(store_page(batch.spark, folder, collect_live(batch, batch.outcome)))
    except ImportError as error:
        failed.append(f"the package {error.name} is not installed: {INSTALL}")
    except Exception as error:  # the run is over: its exit code stands
        failed.append(explain(error))
