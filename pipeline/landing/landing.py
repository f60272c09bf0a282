"""The landing: which drops are there, what their headers say, and their lines as text."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession

from pipeline.lake.files import FileStatus, FileStore
from pipeline.lake.frames import local_frame
from pipeline.landing.config import LandingConfig
from pipeline.landing.file_start import LandedStart
from pipeline.landing.formats.base import (
    Form,
    HeadedFile,
    Header,
    LeftOut,
    Source,
    contract_schema,
)
from pipeline.landing.manifest import MANIFEST_FORM, NOT_OF_ITS_FORM, parse_manifest
from pipeline.landing.unpack import printable
from pipeline.planning.readiness import why_not_ready
from schemas.drops import Drop, LandedFile, Manifest, ManifestFile
from schemas.errors import AuditError, NotReadyError, UsageError
from schemas.landing import DROP_FOLDER_PREFIX, MANIFEST_NAME

_MANIFEST_LIMIT = 64 << 20
# Drop_Date=2026-11-27, drop_date=20261127, drop_date=2026-11-27.part, 2026-11-27, date=2026-11-27
_NEAR_DROP = re.compile(r"drop[-_ ]?date.*|(\w+=)?\d{4}([-_. ]?)\d{1,2}\2\d{1,2}", re.IGNORECASE | re.DOTALL)

# For each drop, the column names of each of its files.
Headers = Mapping[Drop, Mapping[str, tuple[str, ...]]]


class Landing:
    """The folder of all drops."""

    def __init__(self, spark: SparkSession, root: str, config: LandingConfig) -> None:
        """Opens a landing.

        Args:
            spark: session.
            root: path or URI.
            config: which files are read, and as what.

        Raises:
            UsageError: there is no such folder, or it cannot be reached.
        """
        self._spark = spark
        self._files = FileStore(spark, root)
        self._config = config
        try:
            is_there = self._files.is_folder()
        except OSError as error:
            raise UsageError(f"landing {root}: {error}") from None
        if not is_there:
            raise UsageError(f"landing {root}: no such folder")
        self._headers: dict[LandedFile, Header] = {}
        self._trailers: dict[LandedFile, ManifestFile | None] = {}
        self._forms: dict[int, Form] = {}
        self._last_read: tuple[Form, ...] = ()
        self._repeating: set[tuple[dt.date, str]] = set()
        # What the user is to know of how files are read, one line each; a file is told once.
        self.notes: list[str] = []

    @property
    def root(self) -> str:
        """Full URI."""
        return self._files.root

    def drops(self, first: dt.date | None, last: dt.date | None) -> list[Drop]:
        """Drops that are there, by date.

        Args:
            first: first drop date, or None for every one.
            last: last drop date, or None.

        A folder whose name is no date is left out: see ``strays``.
        """
        by_date: dict[dt.date, list[FileStatus]] = {}
        folders = sorted(self._files.folders())
        for folder in folders:
            date = _drop_date(folder)
            if date is not None and (first is None or date >= first) and (last is None or date <= last):
                by_date[date] = []
        for status in self._listed(by_date, everything=2 * len(by_date) > len(folders)):
            date = _drop_date(self._files.below_root(status.path).partition("/")[0])
            if date in by_date:
                by_date[date].append(status)
        return [self._drop(date, statuses) for date, statuses in sorted(by_date.items())]

    def strays(self) -> list[str]:
        """Names of entries beside the drops that no ingest reads: folders, and files of a drop."""
        return sorted(
            _shown(entry.name)
            for entry in self._files.entries()
            if not _is_hidden(entry.name)
            and not self._config.is_ignored(entry.name)
            and (_drop_date(entry.name) is None if entry.is_folder else self._may_be_meant(entry.name))
        )

    def near_drops(self) -> dict[str, dt.date | None]:
        """Strays that look like a drop, with the date that they seem to mean."""
        return {name: _meant_date(name) for name in self.strays() if _is_near_drop(name)}

    def _may_be_meant(self, name: str) -> bool:
        """Whether a file beside the drops may be a delivery; of a name that is not UTF-8 nobody can tell."""
        return not _is_text(name) or self._is_read(name)

    def _is_read(self, name: str) -> bool:
        return _is_text(name) and self._config.profile_of(name) is not None

    def dates(self) -> list[dt.date]:
        """Dates of the drops that are there, in order: one listing, no file looked at."""
        return sorted(date for date in map(_drop_date, self._files.folders()) if date is not None)

    def with_manifest(self, drop: Drop) -> Drop:
        """The drop with its manifest read, or with ``problem`` where it is not of its form."""
        if drop.manifest_path is None:
            return drop
        try:
            content = self._files.read(drop.manifest_path, _MANIFEST_LIMIT)
            return replace(drop, manifest=parse_manifest(content))
        except (*NOT_OF_ITS_FORM, OSError) as error:
            where = f"{_folder(drop.date)}/{MANIFEST_NAME}"
            return replace(drop, problem=f"{where}: not of the form {MANIFEST_FORM} ({error})")

    def refreshed(self, drop: Drop) -> Drop:
        """The same drop as it is now."""
        return self._drop(drop.date, self._files.entries(_folder(drop.date)))

    def why_not_ready(self, drop: Drop) -> str | None:
        """Says what a drop, its manifest read, lacks; None where it can be read, or fails at once."""
        reason = why_not_ready(drop, self._config.last_date) or _why_unreadable(drop)
        if reason is not None or drop.problem is not None:
            return reason
        try:
            self.headers(drop)
            self.with_trailers(drop)
        except NotReadyError as error:
            return str(error)
        except AuditError:
            return None
        return None

    def headers(self, drop: Drop) -> dict[str, tuple[str, ...]]:
        """Column names of each of a drop's files, in order; of one that is stated to be empty, none.

        Raises:
            NotReadyError: a file has no line, and no manifest says that it has none.
            AuditError: a file cannot be read, lacks a column of the contract, or names one twice.
        """
        columns = {}
        for file in drop.files:
            names = self._header(drop, file).columns
            if names:
                columns[file.name] = names
            elif not drop.is_stated_empty(file):
                raise NotReadyError(_why_headerless(file, self._form(file.name)))
        return columns

    def with_trailers(self, drop: Drop) -> Drop:
        """The drop with what its files say of themselves in trailer records, as if its manifest said it.

        Raises:
            NotReadyError: a file lacks its trailer.
            AuditError: a trailer cannot be read.
        """
        trailers = [trailer for file in drop.files if (trailer := self._trailer(drop, file)) is not None]
        if not trailers:
            return drop
        # The audit compares what was read with each of them, so that they cannot contradict each other.
        manifest = drop.manifest or Manifest()
        return replace(drop, manifest=replace(manifest, files=(*manifest.files, *trailers)))

    def lines(self, headers: Headers) -> DataFrame:
        """Every line of drops, as text: one scan, each byte read once.

        Args:
            headers: for each drop, the column names of each of its files.

        Returns:
            The received columns as text under their contract names, ``malformed_text`` (a line that cannot
            be split into fields), ``drop_date``, ``source_file``; one row a line. Blank lines are none.
        """
        groups = self._groups(headers)
        parts = [form.lines(self._source, files) for form, files in groups.items()]
        self._last_read = tuple(groups)
        return reduce(DataFrame.unionByName, parts) if parts else local_frame(self._spark, contract_schema())

    def headers_left_out(self, headers: Headers) -> int | None:
        """Rows that Spark reads of drops and that are no lines if none is blank; None if it cannot say."""
        counts = [form.headers_left_out(files) for form, files in self._groups(headers).items()]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def count_left_out(self, headers: Headers) -> list[LeftOut]:
        """Counts what a read of drops leaves out, by a scan of the text of their files with headers.

        From now on, lines that repeat the header of such a file are read as lines.
        """
        found = [
            left_out
            for form, files in self._groups(headers).items()
            for left_out in form.count_left_out(self._source, files)
        ]
        self._repeating |= {(file.drop_date, file.name) for file in found if file.headers > 1}
        return found

    @property
    def _source(self) -> Source:
        return Source(self._spark, self.root, self._config.is_normalized)

    def _groups(self, headers: Headers) -> dict[Form, list[HeadedFile]]:
        groups: dict[Form, list[HeadedFile]] = defaultdict(list)
        for drop, files in headers.items():
            for file in drop.files:
                if file.name in files:
                    path, header = _literal_path(file.path), self._header(drop, file)
                    repeats = (drop.date, file.name) in self._repeating
                    headed = HeadedFile(path, file.name, drop.date, header, repeats)
                    groups[self._form(file.name)].append(headed)
        return groups

    def notes_of_lines(self) -> list[str]:
        """What the last read found that the user is to know; only once its lines were written."""
        return [note for form in self._last_read for note in form.notes_of_lines()]

    def extra_columns(self, headers: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """Columns in a drop's headers that the contract does not know, sorted."""
        extra = {
            printable(column)
            for name, header in headers.items()
            for column in self._form(name).extra_columns(header)
        }
        return tuple(sorted(extra))

    def _listed(self, dates: Mapping[dt.date, Any], everything: bool) -> Iterator[FileStatus]:
        # On an object store, one listing of everything needs few requests. For a few days out of many, list
        # each folder by itself. On a disk always do so: an archive is not walked then.
        if everything and not self._files.is_on_this_host:
            yield from self._files.files()
            return
        for date in dates:
            yield from self._files.entries(_folder(date))

    def _drop(self, date: dt.date, statuses: Sequence[FileStatus]) -> Drop:
        here: list[FileStatus] = []
        folders: set[str] = set()
        for status in statuses:
            name, _, below = self._files.below_root(status.path).partition("/")[2].partition("/")
            if _is_hidden(name) or self._config.is_ignored(name):
                continue
            if below or status.is_folder:
                folders.add(f"{_shown(name)}/")
            else:
                here.append(status)
        manifests = [status for status in here if status.name == MANIFEST_NAME]
        others = sorted((s for s in here if s.name != MANIFEST_NAME), key=lambda status: status.name)
        unrecognized = [_shown(s.name) for s in others if not self._is_read(s.name)]
        return Drop(
            date=date,
            files=tuple(
                LandedFile(s.name, s.path, s.size, s.version) for s in others if self._is_read(s.name)
            ),
            manifest_path=manifests[0].path if manifests else None,
            manifest_version=f"{manifests[0].size}|{manifests[0].version}" if manifests else "",
            unrecognized_files=tuple(sorted([*unrecognized, *folders])),
        )

    def _header(self, drop: Drop, file: LandedFile) -> Header:
        # Read once: whether a drop is ready is asked before its window is.
        if file not in self._headers:
            form, start = self._form(file.name), self._start(drop, file)
            self._headers[file] = form.header(start)
            self.notes += form.notes(start)
        return self._headers[file]

    def _trailer(self, drop: Drop, file: LandedFile) -> ManifestFile | None:
        if file not in self._trailers:
            self._trailers[file] = self._form(file.name).control_totals(self._start(drop, file))
        return self._trailers[file]

    def _start(self, drop: Drop, file: LandedFile) -> LandedStart:
        return LandedStart(f"{_folder(drop.date)}/{file.name}", file, self._files)

    def _form(self, name: str) -> Form:
        profile = self._config.profile_of(name)
        if profile is None:
            raise AuditError(f"{name} is not read")
        if id(profile) not in self._forms:
            self._forms[id(profile)] = self._config.form_of(profile)
        return self._forms[id(profile)]


def _why_unreadable(drop: Drop) -> str | None:
    # In a path with a pattern, Hadoop reads the text before a colon as a scheme.
    for file in drop.files:
        if ":" in file.name and _literal_path(file.path) != file.path:
            return f"file {file.name} is not read: with a colon, a path can have none of \\ * ? [ ] {{ }}"
    return None


def _why_headerless(file: LandedFile, form: Form) -> str:
    lacks = form.empty_file if file.size else "byte"
    return f"file {file.name} has no {lacks}, and no manifest that states 0 rows for it"


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _is_text(name: str) -> bool:
    """Whether the bytes of a name are UTF-8: Java can open no other file."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _shown(name: str) -> str:
    return name if _is_text(name) else f"{printable(name)} (its name is not UTF-8: rename it)"


def _is_near_drop(name: str) -> bool:
    """Whether a folder's name looks like a misspelled drop, whose day would be lost without a message."""
    return _drop_date(name) is None and _NEAR_DROP.fullmatch(name.strip()) is not None


def _meant_date(name: str) -> dt.date | None:
    """The date that a misspelled drop seems to mean; None if it means none."""
    digits = re.findall(r"\d+", name)
    text = (
        "-".join(digits)
        if len(digits) > 1
        else re.sub(r"^(\d{4})(\d\d)(\d\d)$", r"\1-\2-\3", "".join(digits))
    )
    parts = text.split("-")
    try:
        return dt.date(*(int(part) for part in parts)) if len(parts) == 3 else None
    except ValueError:
        return None


def _folder(date: dt.date) -> str:
    return f"{DROP_FOLDER_PREFIX}{date.isoformat()}"


def _drop_date(folder: str) -> dt.date | None:
    match = re.fullmatch(rf"{DROP_FOLDER_PREFIX}(\d{{4}}-\d\d-\d\d)", folder, re.ASCII)
    try:
        return dt.date.fromisoformat(match.group(1)) if match else None
    except ValueError:
        return None


def _literal_path(path: str) -> str:
    """The path with what Spark would read as a pattern taken literally."""
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", path)


@dataclass(frozen=True)
class UnreadableFile:
    """A file that broke a read, found in Spark's error."""

    drop_date: dt.date
    name: str


def unreadable_file(message: str) -> UnreadableFile | None:
    """The landed file that Spark's error names, or None. Spark encodes names as in a URI."""
    match = re.search(rf"{DROP_FOLDER_PREFIX}(\d{{4}}-\d\d-\d\d)/([^\s/]+?)\.?(?:\s|$)", message)
    if match is None:
        return None
    return UnreadableFile(dt.date.fromisoformat(match.group(1)), unquote(match.group(2)))
