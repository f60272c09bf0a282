"""The landing: which drops are there, what their headers say, and their lines as text."""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, StringType, StructField, StructType

from lake.files import FileStatus, FileStore
from lake.frames import local_frame
from schemas.drops import Drop, LandedFile, Manifest, ManifestFile
from schemas.errors import AuditError, UsageError
from schemas.landing import DROP_FOLDER_PREFIX, MANIFEST_NAME, RECEIVED_NAMES

_ENDINGS = (".csv", ".csv.gz", ".json")
_HEADER_LIMITS = (1 << 12, 1 << 20)
_MANIFEST_LIMIT = 64 << 20
_MANIFEST_FORM = (
    '{"closed": false, "files": [{"name": "sales.csv", "rows": 2, "gross_amount": {"USD": "12.34"}}]}'
)
_NO_MANIFEST = (ValueError, KeyError, TypeError, AttributeError, InvalidOperation, OSError, RecursionError)
_BYTE_ORDER_MARK = "\ufeff"
# A line of nothing else is blank to Spark's reader; white space that only Unicode knows is content to it.
_CSV_BLANK = "".join(map(chr, range(0x21)))
_JSON_BLANK = " \t\r"
_MAX_CHARACTERS = 2**31 - 1
# Spark's parser allots this many cells once a file, and gives up on a line with more of them.
_MAX_FIELDS = 1_000_000


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

    @property
    def root(self) -> str:
        """Full URI."""
        return self._files.root

    def drops(self, first: dt.date | None, last: dt.date | None) -> list[Drop]:
        """Drops that are there, by date.

        Args:
            first: first drop date, or None for every one.
            last: last drop date, or None.

        A folder whose name is no date is a delivery under way, or none: it is left out.
        """
        by_date: dict[dt.date, list[FileStatus]] = {}
        folders = sorted(self._files.folders())
        for folder in folders:
            date = _drop_date(folder)
            if date is not None and (first is None or date >= first) and (last is None or date <= last):
                by_date[date] = []
        for status in self._listed(by_date, everything=2 * len(by_date) > len(folders)):
            date = _drop_date(status.folder)
            if date in by_date:
                by_date[date].append(status)
        return [self._drop(date, statuses) for date, statuses in sorted(by_date.items())]

    def dates(self) -> list[dt.date]:
        """Dates of the drops that are there, in order: one listing, no file looked at."""
        return sorted(date for date in map(_drop_date, self._files.folders()) if date is not None)

    def with_manifest(self, drop: Drop) -> Drop:
        """The drop with its manifest read, or with ``problem`` where it is not of its form."""
        if drop.manifest_path is None:
            return drop
        try:
            content = json.loads(self._files.read(drop.manifest_path, _MANIFEST_LIMIT), parse_float=Decimal)
            return replace(drop, manifest=read_manifest(content))
        except _NO_MANIFEST as error:
            where = f"{_folder(drop.date)}/{MANIFEST_NAME}"
            return replace(drop, problem=f"{where}: not of the form {_MANIFEST_FORM} ({error})")

    def refreshed(self, drop: Drop) -> Drop:
        """The same drop as it is now."""
        return self._drop(drop.date, list(self._files.files(_folder(drop.date))))

    def headers(self, drop: Drop) -> dict[str, tuple[str, ...]]:
        """Column names of each of a drop's files that has any line, in order.

        Raises:
            AuditError: a file cannot be read, lacks a column of the contract, or names one twice.
        """
        found = {}
        for file in drop.files:
            names = self._header(drop, file)
            if names:
                found[file.name] = names
        return found

    def lines(self, headers: Mapping[Drop, Mapping[str, tuple[str, ...]]]) -> DataFrame:
        """Every line of drops, as text: one scan, each byte read once.

        Args:
            headers: for each drop, the column names of each of its files.

        Returns:
            The received columns as text under their contract names, ``malformed_text`` (a line that cannot
            be split into fields), ``drop_date``, ``source_file``; one row a line. Blank lines are none.
        """
        groups: dict[tuple[str, ...] | None, list[str]] = defaultdict(list)
        for drop, files in headers.items():
            for file in drop.files:
                if file.name in files:
                    groups[None if file.is_json else files[file.name]].append(_literal_path(file.path))
        parts = [
            self._json_lines(paths) if header is None else self._csv_lines(header, paths)
            for header, paths in groups.items()
        ]
        return reduce(DataFrame.unionByName, parts) if parts else self._no_lines()

    def extra_columns(self, headers: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """Columns in a drop's headers that the contract does not know, sorted."""
        known = set(self._received_names.values())
        return tuple(
            sorted({name for header in headers.values() for name in header if name and name not in known})
        )

    def _listed(self, dates: Mapping[dt.date, Any], everything: bool) -> list[FileStatus]:
        # One listing of all is few requests on an object store, and one look at a disk; of a few days among
        # many, each by itself is less.
        if everything:
            return list(self._files.files())
        return [status for date in dates for status in self._files.files(_folder(date))]

    def _drop(self, date: dt.date, statuses: Sequence[FileStatus]) -> Drop:
        here = [s for s in statuses if s.folder == _folder(date) and not s.name.startswith((".", "_"))]
        manifests = [status for status in here if status.name == MANIFEST_NAME]
        others = sorted((s for s in here if s.name != MANIFEST_NAME), key=lambda status: status.name)
        return Drop(
            date=date,
            files=tuple(
                LandedFile(s.name, s.path, s.size, s.version) for s in others if s.name.endswith(_ENDINGS)
            ),
            manifest_path=manifests[0].path if manifests else None,
            manifest_version=f"{manifests[0].size}|{manifests[0].version}" if manifests else "",
            strangers=tuple(s.name for s in others if not s.name.endswith(_ENDINGS)),
        )

    def _header(self, drop: Drop, file: LandedFile) -> tuple[str, ...]:
        where = f"{_folder(drop.date)}/{file.name}"
        line = self._first_line(where, file)
        if line is None:
            return ()
        if file.is_json:
            return _keys_of(line)
        try:
            names = tuple(name.strip() for name in next(csv.reader([line])))
        except csv.Error as error:
            raise AuditError(f"{where}: its first line is no header: {error}") from None
        self._check_header(where, names)
        return names

    def _first_line(self, where: str, file: LandedFile) -> str | None:
        """First line that is not blank, from as few bytes as it takes."""
        for limit in _HEADER_LIMITS:
            try:
                start = self._files.read(file.path, limit, decompress=file.is_compressed)
            except OSError as error:
                raise AuditError(f"{where}: cannot be read: {error}") from None
            line, is_whole = _first_line(start, _JSON_BLANK if file.is_json else _CSV_BLANK)
            if is_whole or len(start) < limit:
                return line
        return line

    def _check_header(self, where: str, names: tuple[str, ...]) -> None:
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if twice:
            raise AuditError(f"{where}: column {twice[0]!r} stands twice in the header; each must stand once")
        for name in self._received_names.values():
            if name not in names:
                shown = ", ".join(names)[:200]
                raise AuditError(f"{where}: column {name!r} is missing; the header has: {shown}")

    def _csv_lines(self, header: Sequence[str], paths: list[str]) -> DataFrame:
        contract = {received: name for name, received in self._received_names.items()}
        # Extra columns keep their place under names of ours: theirs may be empty, or alike but for case.
        columns = [contract.get(name, f"_extra_{position}") for position, name in enumerate(header)]
        schema = ", ".join(f"`{column}` string" for column in [*columns, "malformed_text"])
        return (
            self._spark.read.schema(schema)
            .options(
                header=True,
                enforceSchema=True,
                mode="PERMISSIVE",
                columnNameOfCorruptRecord="malformed_text",
                quote='"',
                escape='"',
                encoding="UTF-8",
                maxColumns=_MAX_FIELDS,
                basePath=self.root,
            )
            .csv(paths)
            .select(*RECEIVED_NAMES, "malformed_text", *_origin())
        )

    def _json_lines(self, paths: list[str]) -> DataFrame:
        text = self._spark.read.option("basePath", self.root).text(paths)
        # By prefix, not among the characters to trim: of those Spark takes single bytes of the mark, too.
        marked = F.col("value").startswith(_BYTE_ORDER_MARK)
        value = F.when(marked, F.substring("value", 2, _MAX_CHARACTERS)).otherwise(F.col("value"))
        stripped = F.btrim(value, F.lit(_JSON_BLANK))
        # In brackets, a second object on the line is an error too; alone, the parser would pass over it.
        # A variant keeps a number's digits, where a JSON parse to text goes through floating point.
        parsed = F.try_parse_json(F.concat(F.lit("["), stripped, F.lit("]")))
        lines = text.filter(stripped != "").withColumns({"line": stripped, "parsed": parsed})
        is_object = F.col("line").startswith("{") & F.coalesce(
            F.try_variant_get("parsed", "$[1]", "variant").isNull() & F.col("parsed").isNotNull(),
            F.lit(False),
        )
        fields = [
            F.try_variant_get("parsed", f"$[0]['{received}']", "string").alias(name)
            for name, received in self._received_names.items()
        ]
        return lines.select(*fields, F.when(~is_object, F.col("line")).alias("malformed_text"), *_origin())

    def _no_lines(self) -> DataFrame:
        texts = [StructField(name, StringType()) for name in (*RECEIVED_NAMES, "malformed_text")]
        origin = [StructField("drop_date", DateType()), StructField("source_file", StringType())]
        return local_frame(self._spark, StructType([*texts, *origin]))


def _origin() -> list[Column]:
    return [
        F.col("drop_date").cast("date").alias("drop_date"),
        F.col("_metadata.file_name").alias("source_file"),
    ]


def _folder(date: dt.date) -> str:
    return f"{DROP_FOLDER_PREFIX}{date.isoformat()}"


def _drop_date(folder: str) -> dt.date | None:
    match = re.fullmatch(rf"{DROP_FOLDER_PREFIX}(\d{{4}}-\d\d-\d\d)", folder)
    try:
        return dt.date.fromisoformat(match.group(1)) if match else None
    except ValueError:
        return None


def _first_line(start: bytes, blank: str) -> tuple[str | None, bool]:
    """First line that holds more than blanks, as Spark's reader finds it, and whether its end is there."""
    lines = re.split(r"\r\n|\r|\n", start.decode("utf-8", errors="replace").removeprefix(_BYTE_ORDER_MARK))
    for position, line in enumerate(lines):
        if line.strip(blank):
            return line, position + 1 < len(lines)
    return None, False


def _keys_of(line: str) -> tuple[str, ...]:
    """Keys of a JSON line; where it is none, the file still has lines, each judged by itself."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        content = None
    return tuple(content) if isinstance(content, dict) and content else ("",)


def read_manifest(content: Any) -> Manifest:
    """Reads a manifest.

    Args:
        content: parsed JSON.

    Raises:
        ValueError, TypeError, KeyError: it is not of its form.
    """
    if not isinstance(content, dict):
        raise TypeError("it must be an object")
    unknown = sorted(set(content) - {"closed", "files"})
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}")
    closed = content.get("closed", False)
    if not isinstance(closed, bool):
        raise TypeError("closed must be true or false")
    return Manifest(closed, tuple(_read_manifest_file(file) for file in content.get("files", [])))


def _read_manifest_file(content: Any) -> ManifestFile:
    rows, gross = content.get("rows"), content.get("gross_amount")
    if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 0):
        raise ValueError(f"rows = {rows!r} must be an integer >= 0")
    amounts = None if gross is None else {code: Decimal(str(amount)) for code, amount in gross.items()}
    return ManifestFile(str(content["name"]), rows, amounts)


def _literal_path(path: str) -> str:
    """The path with what Spark would read as a pattern taken literally."""
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", path)


@dataclass(frozen=True)
class UnreadableFile:
    """A file that broke a read, found in Spark's error."""

    drop_date: dt.date
    name: str


def unreadable_file(message: str) -> UnreadableFile | None:
    """The landed file that an error of Spark's names, if it names one."""
    match = re.search(rf"{DROP_FOLDER_PREFIX}(\d{{4}}-\d\d-\d\d)/([^\s/]+?)\.?(?:\s|$)", message)
    if match is None:
        return None
    return UnreadableFile(dt.date.fromisoformat(match.group(1)), match.group(2))
