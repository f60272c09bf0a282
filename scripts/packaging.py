"""Builds the archive of a release: the project, and in ``vendor/`` everything that set-up would download.

The unpacked archive works like a checkout, but needs no package registry. The machine must have the same
operating system, processor and minor version of Python. The archive includes Java for machines without one.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from scripts.bootstrap import jars
from scripts.bootstrap.common import ROOT, SetupError, last_line, refuse, say, sha256_of
from scripts.bootstrap.environment import REPORT_LOCK, RUN_LOCK, VENV_PYTHON
from scripts.bootstrap.java import PYPI_LOCK
from scripts.bootstrap.maven import path_in_repository
from scripts.submission.bundle import version_of_python

_WHEEL = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)-.*\.whl")
_SECONDS = 1800


def name_of_release() -> str:
    """Returns the name of the archive and of its folder: project, version, machine and Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    machine = f"{sys.platform}-{platform.machine()}-py{version_of_python()}"
    return f"{project['name']}-{project['version']}-{machine}"


def build(folder: Path) -> Path:
    """Builds the archive, and writes its sha256 to a file beside it.

    Returns:
        Path of the archive.

    Raises:
        SetupError: a package is not available, or this is not a git checkout.
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{name_of_release()}.tar.gz"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as scratch:
        vendor = Path(scratch) / "vendor"
        for lock in (RUN_LOCK, REPORT_LOCK, PYPI_LOCK):
            _vendor_wheels(lock, vendor)
        _vendor_jars(vendor / "maven")
        say("writes the archive")
        part = Path(scratch) / archive.name
        # Fast compression: wheels and jars are already compressed.
        with tarfile.open(part, "w:gz", compresslevel=1) as target:
            for file in _tracked():
                target.add(ROOT / file, f"{name_of_release()}/{file}")
            target.add(vendor, f"{name_of_release()}/vendor")
        part.replace(archive)
    checksum = archive.with_name(f"{archive.name}.sha256")
    checksum.write_text(f"{sha256_of(archive)}  {archive.name}\n", encoding="utf-8")
    return archive


def _tracked() -> list[str]:
    listed = _run(["git", "-C", str(ROOT), "ls-files", "-z"], "list the files of this checkout with git")
    return [name for name in listed.split("\0") if name and (ROOT / name).exists()]


def _vendor_wheels(lock: Path, vendor: Path) -> None:
    """Downloads the wheels of a lock file, builds those that exist only as source, and locks the result."""
    say(f"gathers the packages of {lock.name}")
    folder = vendor / "part"
    command = [str(VENV_PYTHON), "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    _run(
        [*command, "--require-hashes", "-r", str(lock), "-w", str(folder)], f"get the packages of {lock.name}"
    )
    wheels = vendor / "wheels"
    wheels.mkdir(exist_ok=True)
    lines = ["# Locks the wheels in wheels/.\n"]
    for wheel in sorted(folder.glob("*.whl")):
        match = _WHEEL.fullmatch(wheel.name)
        if match is None:
            raise SetupError(f"{wheel.name} is not the name of a wheel")
        lines.append(f"{match['name']}=={match['version']} --hash=sha256:{sha256_of(wheel)}\n")
        shutil.move(wheel, wheels / wheel.name)
    (vendor / lock.name).write_text("".join(lines), encoding="utf-8")
    folder.rmdir()


def _vendor_jars(repository: Path) -> None:
    """Copies the downloaded jars into a folder with Maven's layout."""
    for jar in jars.pinned_jars():
        fetched = jars.FOLDER / jar.set / jar.file_name
        if fetched.exists():
            target = repository / path_in_repository(jar.group, jar.name, jar.version) / jar.file_name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(fetched, target)


def _run(command: Sequence[str], what: str) -> str:
    finished = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_SECONDS, check=False
    )
    if finished.returncode != 0:
        raise SetupError(f"cannot {what}: {last_line(finished.stdout, with_word='error')}")
    return finished.stdout


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0, or 2 if something is missing or cannot be written."""
    try:
        archive = build(Path(arguments[0]).absolute())
    except SetupError as error:
        return refuse(error)
    except OSError as error:
        return refuse(f"cannot write the archive: {error.strerror}: {error.filename}")
    print(archive)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
