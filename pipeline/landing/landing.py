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
from pyspark.sql.types import DateType, StringType, StructField, StructType

from pipeline.lake.files import FileStatus, FileStore
from pipeline.lake.frames import local_frame
from pipeline.landing.formats import ENDINGS, format_of
from pipeline.landing.formats.base import BYTE_ORDER_MARK, Format, Source
from pipeline.landing.manifest import MANIFEST_FORM, NOT_OF_ITS_FORM, parse_manifest
from pipeline.planning.readiness import why_not_ready
from schemas.drops import Drop, LandedFile
from schemas.errors import AuditError, NotReadyError, UsageError
from schemas.landing import DROP_FOLDER_PREFIX, MANIFEST_NAME, RECEIVED_NAMES

_HEADER_LIMITS = (1 << 12, 1 << 20)
_MANIFEST_LIMIT = 64 << 20
# Spark's reader treats a line of only these characters as blank. Other Unicode white space is content.
_CSV_BLANK = "".join(map(chr, range(0x21)))
# Drop_Date=2026-11-27, drop_date=20261127, drop_date=2026-11-27.part, 2026-11-27, date=2026-11-27
_NEAR_DROP = re.compile(r"drop[-_ ]?date.*|(\w+=)?\d{4}([-_. ]?)\d{1,2}\2\d{1,2}", re.IGNORECASE | re.DOTALL)


class Landing:
    """The folder of all drops."""

    def __init__(self, spark: SparkSession, root: str, received_names: Mapping[str, str]) -> None:
        """Opens a landing.

        Args:
            spark: session.
            root: path or URI.
            received_names: name under which each contract column is received.

        Raises:
            UsageError: there is no such folder, or it cannot be reached.
        """
        self._spark = spark
        self._files = FileStore(spark, root)
        self._received_names = received_names
        try:
            is_there = self._files.exists()
        except OSError as error:
            raise UsageError(f"landing {root}: {error}") from None
        if not is_there:
            raise UsageError(f"landing {root}: no such folder")
        self._headers: dict[LandedFile, tuple[str, ...]] = {}

    @property
    def root(self) -> str:
        """Full URI."""
        return self._files.root

    def drops(self, first: dt.date | None, last: dt.date | None) -> list[Drop]:
        """Drops that are there, by date.

        Args:
            first: first drop date, or None for every one.
            last: last drop date, or None.

        A folder whose name is no date is left out: see ``near_drops``.
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

    def near_drops(self) -> list[str]:
        """Names of entries beside the drops that look like a drop or a file of one. No ingest reads them."""
        return sorted(
            entry.name
            for entry in self._files.entries()
            if (_is_near_drop(entry.name) if entry.is_folder else entry.name.endswith(ENDINGS))
            and not _is_hidden(entry.name)
        )

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
        reason = why_not_ready(drop, ENDINGS) or _why_unreadable(drop)
        if reason is not None or drop.problem is not None:
            return reason
        try:
            self.headers(drop)
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
            names = self._header(drop, file)
            if names:
                columns[file.name] = names
            elif not drop.is_stated_empty(file):
                raise NotReadyError(_why_headerless(file))
        return columns

    def lines(self, headers: Mapping[Drop, Mapping[str, tuple[str, ...]]]) -> DataFrame:
        """Every line of drops, as text: one scan, each byte read once.

        Args:
            headers: for each drop, the column names of each of its files.

        Returns:
            The received columns as text under their contract names, ``malformed_text`` (a line that cannot
            be split into fields), ``drop_date``, ``source_file``; one row a line. Blank lines are none.
        """
        groups: dict[tuple[Format, tuple[str, ...]], list[str]] = defaultdict(list)
        for drop, files in headers.items():
            for file in drop.files:
                if file.name in files:
                    file_format = format_of(file.name)
                    header = files[file.name] if file_format.has_header else ()
                    groups[file_format, header].append(_literal_path(file.path))
        source = Source(self._spark, self.root, self._received_names)
        parts = [file_format.lines(source, header, paths) for (file_format, header), paths in groups.items()]
        return reduce(DataFrame.unionByName, parts) if parts else self._no_lines()

    def extra_columns(self, headers: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """Columns in a drop's headers that the contract does not know, sorted."""
        known = set(self._received_names.values())
        return tuple(
            sorted({name for header in headers.values() for name in header if name and name not in known})
        )

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
            if _is_hidden(name):
                continue
            if below or status.is_folder:
                folders.add(f"{name}/")
            else:
                here.append(status)
        manifests = [status for status in here if status.name == MANIFEST_NAME]
        others = sorted((s for s in here if s.name != MANIFEST_NAME), key=lambda status: status.name)
        unrecognized = [s.name for s in others if not s.name.endswith(ENDINGS)]
        return Drop(
            date=date,
            files=tuple(
                LandedFile(s.name, s.path, s.size, s.version) for s in others if s.name.endswith(ENDINGS)
            ),
            manifest_path=manifests[0].path if manifests else None,
            manifest_version=f"{manifests[0].size}|{manifests[0].version}" if manifests else "",
            unrecognized_files=tuple(sorted([*unrecognized, *folders])),
        )

    def _header(self, drop: Drop, file: LandedFile) -> tuple[str, ...]:
        # Read once: whether a drop is ready is asked before its window is.
        if file not in self._headers:
            self._headers[file] = self._read_header(drop, file)
        return self._headers[file]

    def _read_header(self, drop: Drop, file: LandedFile) -> tuple[str, ...]:
        where = f"{_folder(drop.date)}/{file.name}"
        line = self._first_line(where, file)
        if line is None:
            return ()
        return format_of(file.name).columns(where, line, self._received_names)

    def _first_line(self, where: str, file: LandedFile) -> str | None:
        """First line that is not blank, from as few bytes as it takes."""
        for limit in _HEADER_LIMITS:
            try:
                start = self._files.read(file.path, limit, decompress=file.is_compressed)
            except OSError as error:
                raise AuditError(f"{where}: cannot be read: {error}") from None
            # Control characters alone are no line of JSON either: a full disk leaves files of them.
            line, is_whole = _first_line(start, _CSV_BLANK)
            if is_whole or len(start) < limit:
                return line
        if line is None:
            raise NotReadyError(f"file {file.name} has no line in its first {limit:,} bytes")
        return line

    def _no_lines(self) -> DataFrame:
        texts = [StructField(name, StringType()) for name in (*RECEIVED_NAMES, "malformed_text")]
        origin = [StructField("drop_date", DateType()), StructField("source_file", StringType())]
        return local_frame(self._spark, StructType([*texts, *origin]))


def _why_unreadable(drop: Drop) -> str | None:
    # In a path with a pattern, Hadoop reads the text before a colon as a scheme.
    for file in drop.files:
        if ":" in file.name and _literal_path(file.path) != file.path:
            return f"file {file.name} is not read: with a colon, a path can have none of \\ * ? [ ] {{ }}"
    return None


def _why_headerless(file: LandedFile) -> str:
    lacks = format_of(file.name).empty_file if file.size else "byte"
    return f"file {file.name} has no {lacks}, and no manifest that states 0 rows for it"


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _is_near_drop(name: str) -> bool:
    """Whether a folder's name looks like a misspelled drop, whose day would be lost without a message."""
    return _drop_date(name) is None and _NEAR_DROP.fullmatch(name.strip()) is not None


def _folder(date: dt.date) -> str:
    return f"{DROP_FOLDER_PREFIX}{date.isoformat()}"


def _drop_date(folder: str) -> dt.date | None:
    match = re.fullmatch(rf"{DROP_FOLDER_PREFIX}(\d{{4}}-\d\d-\d\d)", folder, re.ASCII)
    try:
        return dt.date.fromisoformat(match.group(1)) if match else None
    except ValueError:
        return None


def _first_line(start: bytes, blank: str) -> tuple[str | None, bool]:
    """First line that holds more than blanks, as Spark's reader finds it, and whether its end is there."""
    lines = re.split(r"\r\n|\r|\n", start.decode("utf-8", errors="replace").removeprefix(BYTE_ORDER_MARK))
    for position, line in enumerate(lines):
        if line.strip(blank):
            return line, position + 1 < len(lines)
    return None, False


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
