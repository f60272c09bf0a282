"""A small disk for one worker: a file system in memory, so that it can be filled without harm."""

from __future__ import annotations

import subprocess
from pathlib import Path


def mount_small_disk(folder: Path, megabytes: int) -> bool:
    """Mounts a file system in memory; says whether that was allowed (root only)."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    return _succeeds(command)


def unmount_below(folder: Path) -> None:
    """Unmounts what is mounted below a folder."""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        mounted = line.split()[1]
        if mounted.startswith(f"{folder}/"):
            _succeeds(["umount", "--lazy", mounted])


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
