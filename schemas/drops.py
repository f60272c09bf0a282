"""What is landed, and what an ingest found in it: plain values, no Spark."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from schemas.states import DropStatus


@dataclass(frozen=True)
class LandedFile:
    """One delivered file.

    Attributes:
        name: name within its drop.
        path: full URI.
        size: bytes.
        version: modification time or etag; a change of it is a changed delivery.
    """

    name: str
    path: str
    size: int
    version: str

    @property
    def is_compressed(self) -> bool:
        """Whether the file is gzip."""
        return self.name.endswith(".gz")


@dataclass(frozen=True)
class ManifestFile:
    """Control totals that a delivery states for one file.

    Attributes:
        name: name within the drop.
        rows: lines, without the header; None where not stated.
        gross_amount: sum by currency, over the lines whose amount and currency parse; None where not stated.
    """

    name: str
    rows: int | None
    gross_amount: dict[str, Decimal] | None

    def as_json(self) -> dict[str, Any]:
        """The entry in the form in which it is landed; what it does not state is left out."""
        stated: dict[str, Any] = {"name": self.name}
        if self.rows is not None:
            stated["rows"] = self.rows
        if self.gross_amount is not None:
            stated["gross_amount"] = {code: str(amount) for code, amount in self.gross_amount.items()}
        return stated


@dataclass(frozen=True)
class Manifest:
    """What a delivery says of itself.

    Attributes:
        closed: whether a drop with no file is meant to be empty.
        files: files that must be there.
        lists_files: whether it has a list of files, empty or not: then no other file may be there.
    """

    closed: bool = False
    files: tuple[ManifestFile, ...] = ()
    lists_files: bool = False

    def as_json(self) -> dict[str, Any]:
        """The manifest in the form in which it is landed; what it does not state is left out."""
        stated: dict[str, Any] = {"closed": self.closed}
        if self.lists_files or self.files:
            stated["files"] = [file.as_json() for file in self.files]
        return stated


@dataclass(frozen=True, eq=False)
class Drop:
    """One day's delivery.

    Attributes:
        date: drop date.
        files: delivered files, by name.
        manifest: what the delivery says of itself, once read.
        manifest_path: full URI of the manifest, None where there is none.
        manifest_version: modification time or etag of the manifest, empty where there is none.
        unrecognized_files: names of files that no ingest reads (another ending), and of sub-folders, each
            with a slash at its end; the hidden ones left out.
        problem: what is wrong with the manifest, for the user; None where nothing is.
        known_fingerprint: fingerprint of a delivery whose files are gone; None where they are here to tell.
    """

    date: dt.date
    files: tuple[LandedFile, ...]
    manifest: Manifest | None = None
    manifest_path: str | None = None
    manifest_version: str = ""
    unrecognized_files: tuple[str, ...] = ()
    problem: str | None = None
    known_fingerprint: str | None = None

    @property
    def fingerprint(self) -> str:
        """sha256, in hex, over each file's name, size and modification time or etag, and the manifest's.

        Names of unrecognized files count too: one that appears in an ingested drop must be noticed.
        """
        if self.known_fingerprint is not None:
            return self.known_fingerprint
        parts = [
            f"{file.name}|{file.size}|{file.version}" for file in sorted(self.files, key=lambda f: f.name)
        ]
        parts += [f"{name}|unrecognized" for name in self.unrecognized_files]
        return hashlib.sha256("\n".join([*parts, self.manifest_version]).encode()).hexdigest()

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.size for file in self.files)

    @property
    def missing_files(self) -> list[str]:
        """Files that the manifest names and that are not there."""
        there = {file.name for file in self.files}
        return [file.name for file in (self.manifest or Manifest()).files if file.name not in there]

    @property
    def unlisted_files(self) -> list[str]:
        """Files that are there and that a manifest with a list of files does not name."""
        if self.manifest is None or not self.manifest.lists_files:
            return []
        listed = {file.name for file in self.manifest.files}
        return [file.name for file in self.files if file.name not in listed]

    def is_stated_empty(self, file: LandedFile) -> bool:
        """Whether the manifest says that a file holds no line."""
        listed = (self.manifest or Manifest()).files
        return any(stated.name == file.name and stated.rows == 0 for stated in listed)

    @property
    def is_closed(self) -> bool:
        """Whether a drop with no file is meant to be empty."""
        return self.manifest is not None and self.manifest.closed


@dataclass(frozen=True)
class DateContent:
    """Accepted lines of a delivery that have one business date and one sale date.

    Attributes:
        business_date: day under which the lines are published.
        sale_date: their sale date.
        is_adjustment: whether they came too late to restate it.
        lines: accepted lines.
        digest: order-independent digest over source file, key and payload of each line.
        gross: sum of gross_amount by currency.
    """

    business_date: dt.date
    sale_date: dt.date
    is_adjustment: bool
    lines: int
    digest: str = ""
    gross: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass
class IngestedDrop:
    """What an ingest found in one drop.

    Attributes:
        drop: the drop.
        lines: lines read.
        accepted: lines accepted.
        rejected: lines rejected.
        content: accepted lines by business date.
        reasons: rejected lines by reason; a line with two reasons counts in both.
        file_lines: lines by file.
        file_gross: gross by file and currency, over the lines whose amount and currency parse.
        judged_by: digest of the terms under which its lines were judged.
        extra_columns: received columns that are not of the contract, left out.
        status: what became of the drop.
        reason: why it is not ingested, for the user.
    """

    drop: Drop
    lines: int = 0
    accepted: int = 0
    rejected: int = 0
    content: list[DateContent] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    file_lines: Counter[str] = field(default_factory=Counter)
    file_gross: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    judged_by: str = ""
    extra_columns: tuple[str, ...] = ()
    status: DropStatus = DropStatus.INGESTED
    reason: str | None = None
