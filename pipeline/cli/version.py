"""The version of the code that a run executes."""

from __future__ import annotations

import hashlib
import tomllib
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("jobs", "pipeline", "schemas", "transforms")


@cache
def code_version() -> str:
    """The project's version and a digest of its sources, such as ``0.1.0+1a2b3c4d``."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((_ROOT / package).rglob("*.py")):
            digest.update(path.read_bytes())
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"{project['version']}+{digest.hexdigest()[:8]}"
