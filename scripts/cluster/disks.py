"""A small disk for one worker: an in-memory file system that a test can fill without harm."""

from __future__ import annotations

import subprocess
from pathlib import Path


def mount_small_disk(folder: Path, megabytes: int) -> bool:
    """Mounts an in-memory file system. Returns whether that succeeded; only root on Linux may mount."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    return _succeeds(command)


def unmount_below(folder: Path) -> None:
    """Unmounts every file system below a folder."""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        mount_point = line.split()[1]
        if mount_point.startswith(f"{folder}/"):
            _succeeds(["umount", "--lazy", mount_point])


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
