"""Plain values, without Spark, for landed drops and for the results of their ingest."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from schemas.states import DropReason, DropStatus


@dataclass(frozen=True)
class LandedFile:
    """One delivered file.

    Attributes:
        name: name within its drop.
        path: full URI.
        size: bytes.
        version: modification time or etag; if it changes, the delivery has changed.
    """

    name: str
    path: str
    size: int
    version: str


@dataclass(frozen=True)
class ManifestFile:
    """Control totals that a delivery states for one file.

    Attributes:
        name: name within the drop.
        rows: lines without the header; None if not stated.
        gross_amount: sum by currency over the lines whose amount and currency parse; None if not stated.
        stated_by: what states them, for messages: the drop's manifest, or the file's own trailer.
    """

    name: str
    rows: int | None
    gross_amount: dict[str, Decimal] | None
    stated_by: str = "manifest"

    def as_json(self) -> dict[str, Any]:
        """Returns the entry as the manifest file holds it, without values that are not stated."""
        stated: dict[str, Any] = {"name": self.name}
        if self.rows is not None:
            stated["rows"] = self.rows
        if self.gross_amount is not None:
            stated["gross_amount"] = {code: str(amount) for code, amount in self.gross_amount.items()}
        return stated


@dataclass(frozen=True)
class Manifest:
    """What the sender says a delivery holds.

    Attributes:
        closed: whether a drop without files is empty on purpose.
        files: files that must exist.
        lists_files: whether there is a list of files, even an empty one. If so, no other file may exist.
    """

    closed: bool = False
    files: tuple[ManifestFile, ...] = ()
    lists_files: bool = False

    def as_json(self) -> dict[str, Any]:
        """Returns the manifest as its file holds it, without values that are not stated."""
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
        manifest: content of the manifest; None until it is read.
        manifest_path: full URI of the manifest; None if there is none.
        manifest_version: modification time or etag of the manifest; empty if there is none.
        unrecognized_files: names of files with an ending that no ingest reads, and of sub-folders with a
            trailing slash; without hidden ones.
        problem: message for the user if the manifest is wrong; else None.
        known_fingerprint: fingerprint of a delivery whose files are gone; None if the files exist.
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
        """sha256 in hex over each file's name, size and version, and the manifest's version.

        Names of unrecognized files count too, so that a new one in an ingested drop changes the fingerprint.
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
        """Total size of all files."""
        return sum(file.size for file in self.files)

    @property
    def missing_files(self) -> list[str]:
        """Names of files that the manifest lists and that do not exist."""
        delivered = {file.name for file in self.files}
        return [file.name for file in (self.manifest or Manifest()).files if file.name not in delivered]

    @property
    def unlisted_files(self) -> list[str]:
        """Names of files that exist and that the manifest's list of files does not name."""
        if self.manifest is None or not self.manifest.lists_files:
            return []
        listed = {file.name for file in self.manifest.files}
        return [file.name for file in self.files if file.name not in listed]

    def is_stated_empty(self, file: LandedFile) -> bool:
        """Whether the manifest says that a file has no lines."""
        listed = (self.manifest or Manifest()).files
        return any(stated.name == file.name and stated.rows == 0 for stated in listed)

    @property
    def is_closed(self) -> bool:
        """Whether a drop without files is empty on purpose."""
        return self.manifest is not None and self.manifest.closed


@dataclass(frozen=True)
class DateContent:
    """Accepted lines of a delivery with the same business date, sale date and adjustment flag.

    Attributes:
        business_date: day under which the lines are published.
        sale_date: sale date of the lines.
        is_adjustment: whether the lines arrived too late to restate their sale date.
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
class StoreContent:
    """Accepted lines of a store in a delivery.

    Attributes:
        lines: accepted lines.
        gross: sum of gross_amount by currency.
        first_sold_at: time of its first transaction.
        last_sold_at: time of its last transaction.
    """

    lines: int = 0
    gross: dict[str, Decimal] = field(default_factory=dict)
    first_sold_at: dt.datetime | None = None
    last_sold_at: dt.datetime | None = None


@dataclass
class IngestedDrop:
    """The result of the ingest of one drop.

    Attributes:
        drop: the drop.
        lines: lines read.
        accepted: lines accepted.
        rejected: lines rejected.
        content: accepted lines by business date.
        reasons: rejected lines by reason; a line with two reasons counts in both.
        file_lines: lines by file.
        file_gross: gross amount by file and currency, over the lines whose amount and currency parse.
        null_words: accepted lines by file whose customer_id is a word for nothing, such as NULL.
        warned: accepted lines by the team's own rule that warns of them.
        stores: accepted lines by store; empty unless they were counted by store.
        blank_lines: lines that were left out because they hold nothing, or empty fields alone.
        judged_by: digest of the settings that validated its lines.
        extra_columns: received columns that are not in the contract; the ingest ignores them.
        status: outcome of the ingest.
        reason: message for the user if the drop was not ingested.
        reason_code: why it was not ingested, where a later run decides by it.
    """

    drop: Drop
    lines: int = 0
    accepted: int = 0
    rejected: int = 0
    content: list[DateContent] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    file_lines: Counter[str] = field(default_factory=Counter)
    file_gross: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    null_words: Counter[str] = field(default_factory=Counter)
    warned: Counter[str] = field(default_factory=Counter)
    stores: dict[str, StoreContent] = field(default_factory=dict)
    blank_lines: int = 0
    judged_by: str = ""
    extra_columns: tuple[str, ...] = ()
    status: DropStatus = DropStatus.INGESTED
    reason: str | None = None
    reason_code: DropReason | None = None
