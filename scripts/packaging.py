"""Builds the archive of a release: the project, and in ``vendor/`` all that set-up would fetch.

Unpacked on a machine with the same operating system, processor and minor version of Python, it is set up and
runs as a checkout does, with no registry in reach; Java is in it, and taken where the machine has none.
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
from scripts.bootstrap.environment import RUN_LOCK, VENV_PYTHON
from scripts.bootstrap.java import PYPI_LOCK
from scripts.bootstrap.maven import path_in_repository
from scripts.submission.bundle import version_of_python

_WHEEL = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)-.*\.whl")
_SECONDS = 1800


def name_of_release() -> str:
    """Name of the archive, and of its folder: version, and what it is made for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    machine = f"{sys.platform}-{platform.machine()}-py{version_of_python()}"
    return f"{project['name']}-{project['version']}-{machine}"


def build(folder: Path) -> Path:
    """Builds the archive, with its sha256 in a file beside it.

    Returns:
        Its path.

    Raises:
        SetupError: a package or jar cannot be had, or this is no checkout of git.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{name_of_release()}.tar.gz"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as scratch:
        vendor = Path(scratch) / "vendor"
        for lock in (RUN_LOCK, PYPI_LOCK):
            _vendor_wheels(lock, vendor)
        _vendor_jars(vendor / "maven")
        say("writes the archive")
        part = Path(scratch) / archive.name
        # What is in it is compressed already.
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
    """Fetches the wheels of a lock file, builds those that there are only sources of, and locks them."""
    say(f"gathers the packages of {lock.name}")
    folder = vendor / "part"
    command = [str(VENV_PYTHON), "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    _run(
        [*command, "--require-hashes", "-r", str(lock), "-w", str(folder)], f"get the packages of {lock.name}"
    )
    wheels = vendor / "wheels"
    wheels.mkdir(exist_ok=True)
    lines = ["# Of the wheels beside it.\n"]
    for wheel in sorted(folder.glob("*.whl")):
        read = _WHEEL.fullmatch(wheel.name)
        if read is None:
            raise SetupError(f"{wheel.name} is no wheel's name")
        lines.append(f"{read['name']}=={read['version']} --hash=sha256:{sha256_of(wheel)}\n")
        shutil.move(wheel, wheels / wheel.name)
    (vendor / lock.name).write_text("".join(lines), encoding="utf-8")
    folder.rmdir()


def _vendor_jars(repository: Path) -> None:
    """Puts the jars that were fetched where Maven's layout has them."""
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
    """Returns the exit code: 0, or 2 where something is missing."""
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
