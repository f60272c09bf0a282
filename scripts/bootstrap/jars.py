"""The few jars that Delta needs beside pyspark's own, pinned in ``configs/jars.toml``."""

from __future__ import annotations

import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from scripts.bootstrap.common import ROOT, VAR, SetupError, read_or_empty, say, sha256_of, write_whole

PINS = ROOT / "configs" / "jars.toml"
FOLDER = VAR / "jars"
STAMP = FOLDER / "stamp"


@dataclass(frozen=True)
class Jar:
    """A pinned jar by its Maven coordinates; sha256 in hex."""

    group: str
    name: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """As it is called in ``var/jars``, and in a Maven repository."""
        return f"{self.name}-{self.version}.jar"


def pinned_jars() -> list[Jar]:
    """Returns the pins, in the order of the file."""
    with PINS.open("rb") as file:
        return [Jar(**entry) for entry in tomllib.load(file)["jar"]]


def are_fetched() -> bool:
    """Says whether the jars are there, checked against the pins as they stand now."""
    # The stamp names the files: so the fast path parses no TOML and hashes no megabytes.
    pins, *names = read_or_empty(STAMP).splitlines() or [""]
    return pins == sha256_of(PINS) and bool(names) and all((FOLDER / name).exists() for name in names)


def fetch() -> None:
    """Fetches the jars that are not there, or not the pinned ones.

    Raises:
        SetupError: one cannot be had, or is not the one that was pinned.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    jars = pinned_jars()
    for jar in jars:
        target = FOLDER / jar.file_name
        if not (target.exists() and sha256_of(target) == jar.sha256):
            _fetch_one(jar, target)
    write_whole(STAMP, "\n".join([sha256_of(PINS), *(jar.file_name for jar in jars)]) + "\n")


def _fetch_one(jar: Jar, target: Path) -> None:
    from scripts.bootstrap import maven  # its imports are slow, and only a first set-up needs them

    say(f"fetches {jar.file_name} into var/jars")
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix=".partial-") as scratch:
        found = maven.download(jar.group, jar.name, jar.version, Path(scratch))
        checksum = sha256_of(found)
        if checksum != jar.sha256:
            raise SetupError(
                f"{jar.file_name} is not the pinned one: expected sha256 {jar.sha256}, found {checksum}"
            )
        found.replace(target)
