"""Installs Debian packages, if set-up runs as root."""

from __future__ import annotations

import os
import shutil

from scripts.bootstrap.common import last_line, run_quietly, say


def can_apt_install() -> bool:
    """Says whether this user may install Debian packages."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(alternatives: list[str]) -> str:
    """Installs the first Debian package that is available. Needs root.

    Args:
        alternatives: names of packages, the preferred one first.

    Returns:
        An empty string if one was installed, else the reason in a few words.
    """
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    timeouts = [
        "-o",
        "Acquire::Retries=1",
        "-o",
        "Acquire::http::Timeout=20",
        "-o",
        "Acquire::https::Timeout=20",
    ]
    say(f"installs {alternatives[0]} with apt")
    updated = run_quietly(["apt-get", *timeouts, "update", "-qq"], seconds=300, env=environment)
    reason = f"apt-get update: {last_line(updated.stdout)}" if updated.returncode != 0 else ""
    for package in alternatives:
        command = ["apt-get", *timeouts, "install", "-y", "-qq", "--no-install-recommends", package]
        installed = run_quietly(command, seconds=900, env=environment)
        if installed.returncode == 0:
            return ""
        reason = reason or f"apt-get install: {last_line(installed.stdout)}"
    return reason
