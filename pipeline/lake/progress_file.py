"""The progress file of a run, beside its lock. It has the number of the lock, so no run writes another's."""

from __future__ import annotations

from pipeline.lake.files import FileStore
from pipeline.lake.lock import FOLDER
from pipeline.planning.progress import RunProgress, read_json

_LIMIT = 1 << 20


def path_of(number: int) -> str:
    """Path of the progress file of the run that holds a lock, below the root of the lake."""
    return f"{FOLDER}/progress.{number:012d}"


def write_progress(files: FileStore, number: int, content: bytes) -> None:
    """Replaces the progress file of the run that holds a lock.

    Args:
        files: files of the lake.
        number: number of the lock.
        content: what ``RunProgress.to_json`` gave.

    Raises:
        OSError: the store refuses.
    """
    files.replace(path_of(number), content)


def read_progress(files: FileStore, number: int) -> RunProgress | None:
    """Reads a progress file; None if it is missing, half written, or of another version of the code."""
    try:
        return read_json(files.read(f"{files.root.rstrip('/')}/{path_of(number)}", _LIMIT))
    except OSError:
        return None
