"""The few jars that are needed beside pyspark's own, pinned in ``configs/jars.toml``.

Those that every run needs are in ``var/jars``; those of a set that only some need are in ``var/jars/SET``.
"""

from __future__ import annotations

import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from scripts.bootstrap.common import ROOT, VAR, SetupError, read_or_empty, say, sha256_of, write_whole

PINS = ROOT / "configs" / "jars.toml"
FOLDER = VAR / "jars"
# What every run needs: Delta.
BASE = ""


@dataclass(frozen=True)
class Jar:
    """A pinned jar: Maven coordinates, sha256 in hex, and its set, if it is not every run's."""

    group: str
    name: str
    version: str
    sha256: str
    set: str = BASE

    @property
    def file_name(self) -> str:
        """As it is called here, and in a Maven repository."""
        return f"{self.name}-{self.version}.jar"


def pinned_jars() -> list[Jar]:
    """Returns the pins, in the order of the file."""
    with PINS.open("rb") as file:
        return [Jar(**entry) for entry in tomllib.load(file)["jar"]]


def known_sets() -> list[str]:
    """Returns the names of the sets that only some runs need."""
    return sorted({jar.set for jar in pinned_jars()} - {BASE})


def are_fetched(which: str = BASE) -> bool:
    """Says whether the jars of a set are there, checked against the pins as they stand now."""
    # The stamp names the files: so the fast path parses no TOML and hashes no megabytes.
    folder = FOLDER / which
    pins, *names = read_or_empty(folder / "stamp").splitlines() or [""]
    return pins == sha256_of(PINS) and bool(names) and all((folder / name).exists() for name in names)


def fetch(which: str = BASE) -> None:
    """Fetches the jars of a set that are not there, or not the pinned ones.

    Raises:
        SetupError: there is no such set; one cannot be had, or is not the one that was pinned.
    """
    jars = [jar for jar in pinned_jars() if jar.set == which]
    if not jars:
        raise SetupError(f"there is no set of jars {which!r}: one of {', '.join(known_sets())}")
    folder = FOLDER / which
    folder.mkdir(parents=True, exist_ok=True)
    for jar in jars:
        target = folder / jar.file_name
        if not (target.exists() and sha256_of(target) == jar.sha256):
            _fetch_one(jar, target)
    write_whole(folder / "stamp", "\n".join([sha256_of(PINS), *(jar.file_name for jar in jars)]) + "\n")


def _fetch_one(jar: Jar, target: Path) -> None:
    from scripts.bootstrap import maven  # its imports are slow, and only a first set-up needs them

    say(f"fetches {jar.file_name} into {'/'.join(filter(None, ['var/jars', jar.set]))}")
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".partial-") as scratch:
        found = maven.download(jar.group, jar.name, jar.version, Path(scratch))
        checksum = sha256_of(found)
        if checksum != jar.sha256:
            raise SetupError(
                f"{jar.file_name} is not the pinned one: expected sha256 {jar.sha256}, found {checksum}"
            )
        found.replace(target)
