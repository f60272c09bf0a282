"""What a reader finds in a file that is written again and again."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path


def contents_found(path: Path, write: Callable[[bytes], object], contents: Sequence[bytes]) -> set[bytes]:
    """Writes the contents one after the other, and returns what a reader beside it found in the file."""
    found: set[bytes] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            with contextlib.suppress(FileNotFoundError):  # a store may remove the old file first
                found.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for content in contents:
        write(content)
    done.set()
    reader.join()
    return found
