"""The jars that a run needs in addition to pyspark's, pinned in ``configs/jars.toml``.

``var/jars`` holds the jars that every run needs. ``var/jars/SET`` holds a set that only some runs need.
"""

from __future__ import annotations

import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from scripts.bootstrap.common import ROOT, VAR, SetupError, read_or_empty, say, sha256_of, write_whole

PINS = ROOT / "configs" / "jars.toml"
FOLDER = VAR / "jars"
# The set that every run needs: Delta.
BASE = ""


@dataclass(frozen=True)
class Jar:
    """A pinned jar: Maven coordinates, sha256 in hex, and its set, which is BASE if every run needs it."""

    group: str
    name: str
    version: str
    sha256: str
    set: str = BASE

    @property
    def file_name(self) -> str:
        """Its name in ``var/jars`` and in a Maven repository."""
        return f"{self.name}-{self.version}.jar"


def pinned_jars() -> list[Jar]:
    """Returns the pins, in the order of the file."""
    with PINS.open("rb") as file:
        return [Jar(**entry) for entry in tomllib.load(file)["jar"]]


def known_sets() -> list[str]:
    """Returns the names of the sets that only some runs need."""
    return sorted({jar.set for jar in pinned_jars()} - {BASE})


def are_fetched(set_name: str = BASE) -> bool:
    """Says whether the jars of a set exist and match the current pins."""
    # The stamp lists the files, so that this check parses no TOML and hashes no jar.
    folder = FOLDER / set_name
    pins, *names = read_or_empty(folder / "stamp").splitlines() or [""]
    return pins == sha256_of(PINS) and bool(names) and all((folder / name).exists() for name in names)


def fetch(set_name: str = BASE) -> None:
    """Downloads the jars of a set that are missing or differ from their pins.

    Raises:
        SetupError: the set is unknown, a jar cannot be downloaded, or it differs from its pin.
    """
    jars = [jar for jar in pinned_jars() if jar.set == set_name]
    if not jars:
        raise SetupError(f"unknown set of jars {set_name!r}: one of {', '.join(known_sets())}")
    folder = FOLDER / set_name
    folder.mkdir(parents=True, exist_ok=True)
    for jar in jars:
        target = folder / jar.file_name
        if not (target.exists() and sha256_of(target) == jar.sha256):
            _fetch_one(jar, target)
    write_whole(folder / "stamp", "\n".join([sha256_of(PINS), *(jar.file_name for jar in jars)]) + "\n")


def _fetch_one(jar: Jar, target: Path) -> None:
    from scripts.bootstrap import maven  # slow, and only needed by a first set-up

    say(f"fetches {jar.file_name} into {'/'.join(filter(None, ['var/jars', jar.set]))}")
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".partial-") as scratch:
        downloaded = maven.download(jar.group, jar.name, jar.version, Path(scratch))
        checksum = sha256_of(downloaded)
        if checksum != jar.sha256:
            raise SetupError(
                f"{jar.file_name} is not the pinned one: expected sha256 {jar.sha256}, found {checksum}"
            )
        downloaded.replace(target)
