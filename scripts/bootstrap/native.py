"""Whether native code can be loaded from a file system: hardened hosts mount some of theirs noexec."""

from __future__ import annotations

import mmap
from pathlib import Path


def runs_native_code(file: Path) -> bool:
    """Maps a file as the loader of native libraries does.

    Args:
        file: any file that is not empty; it is not changed.

    Returns:
        False if the file system or the system's policy forbids it.

    Raises:
        OSError: the file cannot be read.
    """
    with file.open("rb") as opened:
        try:
            mmap.mmap(
                opened.fileno(), 1, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC
            ).close()
        except PermissionError:
            return False
    return True
