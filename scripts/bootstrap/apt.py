"""Debian packages, where set-up runs as root."""

from __future__ import annotations

import os
import shutil

from scripts.bootstrap.common import last_line, run_quietly, say


def can_apt_install() -> bool:
    """Says whether this user may install Debian packages."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(alternatives: list[str]) -> str:
    """Installs the first of some Debian packages that there is; needs root.

    Returns:
        Nothing when one was installed, else the reason in a few words.
    """
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    patience = [
        "-o",
        "Acquire::Retries=1",
        "-o",
        "Acquire::http::Timeout=20",
        "-o",
        "Acquire::https::Timeout=20",
    ]
    say(f"asks apt for {alternatives[0]}")
    updated = run_quietly(["apt-get", *patience, "update", "-qq"], seconds=300, env=environment)
    reason = f"apt-get update: {last_line(updated.stdout)}" if updated.returncode != 0 else ""
    for package in alternatives:
        command = ["apt-get", *patience, "install", "-y", "-qq", "--no-install-recommends", package]
        installed = run_quietly(command, seconds=900, env=environment)
        if installed.returncode == 0:
            return ""
        reason = reason or f"apt-get install: {last_line(installed.stdout)}"
    return reason
