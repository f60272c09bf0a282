"""A stranger's minimal container, which has nothing but Python: the first command of the README runs in it.

The file trees are those of python:3.11-slim and python:3.13-slim as far as a run can tell: few of Debian's
packages, dash as /bin/sh, no ps, no HOME, no locale, no Java. debootstrap fetches them. It and set-up need
the registries. Each of the two takes some minutes.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hosts.host import ROOT, can_mount, published

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(2400)]

# How this host reaches the registries; a container runtime and its administrator provide the same.
_OF_THE_NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
_NOT_OF_THE_CHECKOUT = shutil.ignore_patterns(
    ".git", ".venv", "var", "__pycache__", ".*_cache", "node_modules"
)
_LINES_ACCEPTED = 1_459_909


@dataclass(frozen=True)
class Image:
    """A release of Debian, and the Python that it brings."""

    release: str
    python: str


IMAGES = {
    "python:3.11-slim": Image("bookworm", "Python 3.11."),
    "python:3.13-slim": Image("trixie", "Python 3.13."),
}


def make_tree(image: Image, root: Path) -> None:
    """Fetches a file tree, with a Python and a copy of this checkout."""
    include = "--include=python3,ca-certificates"
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", include, image.release, str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"debootstrap of {image.release}: {made.stdout.strip().splitlines()[-1]}")
    for path in filter(os.path.exists, _OF_THE_NETWORK):
        shutil.copy(path, root / path.removeprefix("/"))
    shutil.copytree(ROOT, root / "opt" / "cymbal", ignore=_NOT_OF_THE_CHECKOUT)


def run_in(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as the first process of a container with this file tree."""
    place = shlex.quote(str(root))
    mounts = f"mount -t proc proc {place}/proc; mount --rbind /dev {place}/dev"
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    chroot = f"exec chroot {place} env -i {path} {shlex.join(command)}"
    return subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "bash", "-c", f"set -e; {mounts}; {chroot}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(params=list(IMAGES))
def container(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    name = str(request.param)
    if shutil.which("debootstrap") is None or not can_mount():
        pytest.skip(f"{name}: needs root, namespaces and debootstrap")
    root = tmp_path / "root"
    make_tree(IMAGES[name], root)
    assert run_in(root, "python3", "--version").stdout.startswith(IMAGES[name].python)
    yield root
    shutil.rmtree(root)


def test_the_first_command_of_the_readme_runs_in_a_strangers_container(container: Path) -> None:
    assert (container / "usr" / "bin" / "sh").readlink() == Path("dash")
    assert run_in(container, "sh", "-c", "command -v ps java locale-gen less").stdout == ""
    assert run_in(container, "sh", "-c", 'echo "<$HOME>"').stdout == "<>\n"
    ran = run_in(container, "/opt/cymbal/scripts/submit.sh")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "run_batch: done in" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr
    var = container / "opt" / "cymbal" / "var"
    assert published(var / "sample") == _LINES_ACCEPTED
    assert list((var / "sample" / "report").glob("*-run_batch-*.html"))
    again = run_in(
        container, "/opt/cymbal/scripts/submit.sh", "run_batch", *_sample("--result", "/tmp/result.json")
    )
    assert again.returncode == 0, again.stderr
    assert json.loads((container / "tmp" / "result.json").read_text())["status"] == "unchanged"


def _sample(*more: str) -> list[str]:
    sample = "/opt/cymbal/var/sample"
    config = "/opt/cymbal/configs/sample.yaml"
    return ["--landing", f"{sample}/landing", "--lake", f"{sample}/lake", "--config", config, *more]
