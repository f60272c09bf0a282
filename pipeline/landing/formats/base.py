"""What a file format provides, and what all formats share."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, StringType, StructField, StructType

from pipeline.landing.unpack import printable
from pipeline.profiles import DeliveryProfile
from schemas.drops import ManifestFile
from schemas.errors import AuditError
from schemas.landing import received_columns, received_names
from transforms.delivered import FieldForms
from transforms.unicode import normalized_field

_SHOWN = 200
# Column, boolean: whether a line holds nothing that normal form C changes.
PLAIN = "is_plain"


@dataclass(frozen=True)
class Source:
    """Where files are read from.

    Attributes:
        spark: session.
        root: full URI of the landing.
        is_normalized: whether texts are brought into normal form C, and invisible characters are trimmed.
    """

    spark: SparkSession
    root: str
    is_normalized: bool


@dataclass(frozen=True)
class Header:
    """What the start of a file says of its columns.

    Attributes:
        columns: column names in order; empty for a file without a line.
        line: the text of the header line; empty for a format without one.
    """

    columns: tuple[str, ...] = ()
    line: str = ""


@dataclass(frozen=True)
class HeadedFile:
    """A file whose header was read.

    Attributes:
        path: full URI, special characters escaped.
        name: name within its drop.
        drop_date: drop date.
        header: what its start says.
        repeats_header: whether lines behind its first repeat its header, and are rejected.
    """

    path: str
    name: str
    drop_date: dt.date
    header: Header
    repeats_header: bool = False


@dataclass(frozen=True)
class LeftOut:
    """What a read leaves out of a file.

    Attributes:
        drop_date: drop date.
        name: name within its drop.
        headers: lines that equal the header of a file, its own first line among them.
        blank: lines that hold nothing, and rows whose fields are all empty.
    """

    drop_date: dt.date
    name: str
    headers: int
    blank: int


class FileStart(ABC):
    """Gives access to a file on the driver, before it is read."""

    where: str
    name: str

    @abstractmethod
    def parts(self) -> Iterator[IO[bytes]]:
        """Opens the file: plain bytes of it, or of each of its members."""

    @abstractmethod
    def raw(self) -> IO[bytes]:
        """Opens the file as it is stored; it can be sought in."""

    @abstractmethod
    def first_line(self, encoding: str) -> str | None:
        """First line that is not blank, of a file that needs no recipe; None if there is none."""


class Form(ABC):
    """A form of delivered files: a format with its profile.

    Attributes:
        profile: the profile.
        received_names: name under which each contract column is received; without constant columns.
        forms: how fields are written.
        empty_file: what a file without any line lacks, for messages.
    """

    empty_file = "header"

    def __init__(
        self, profile: DeliveryProfile, received_names: Mapping[str, str], forms: FieldForms
    ) -> None:
        self.profile = profile
        self.received_names = received_names
        self.forms = forms
        self.observation: Observation | None = None

    @abstractmethod
    def header(self, start: FileStart) -> Header:
        """Column names of a file; none if it has no line.

        Raises:
            AuditError: the file cannot be read as this form, or lacks a column of the contract.
            NotReadyError: it has no line in the bytes that may be read for it.
        """

    @abstractmethod
    def lines(self, source: Source, files: Sequence[HeadedFile]) -> DataFrame:
        """Every line of files, as text.

        Args:
            source: where they are.
            files: the files, all of this form.

        Returns:
            The received columns as text under their contract names, ``malformed_text`` (a line that cannot be
            split into fields), ``drop_date``, ``source_file``; one row a line. Blank lines are left out.
        """

    def headers_left_out(self, files: Sequence[HeadedFile]) -> int | None:
        """Rows that Spark reads of files and that are no lines if none is blank: the headers.

        None if Spark's count of rows is no count of lines, or if the form does not say.
        """
        del files
        return None

    def count_left_out(self, source: Source, files: Sequence[HeadedFile]) -> list[LeftOut]:
        """Counts what :meth:`lines` leaves out of files; nothing of a form without headers."""
        del source, files
        return []

    def notes_of_lines(self) -> list[str]:
        """What the last read, once its lines are written, found that the user is to know, one line each."""
        return []

    def notes(self, start: FileStart) -> list[str]:
        """What the user is to know of how a file is read, one line each."""
        del start
        return []

    def control_totals(self, start: FileStart) -> ManifestFile | None:
        """What the file says of itself, as a manifest would; None if it says nothing.

        Raises:
            AuditError: it cannot be read.
            NotReadyError: it lacks the record that says it, so that it may be cut off.
        """
        del start
        return None

    def extra_columns(self, names: Sequence[str]) -> list[str]:
        """Columns of a file that the contract does not know."""
        known = set(self.received_names.values())
        return [name for name in names if name and name not in known]

    def check_columns(self, where: str, names: Sequence[str], *, held_by: str) -> None:
        """Checks that each received column stands among names once.

        Raises:
            AuditError: one is missing, or stands twice.
        """
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if twice:
            shown = printable(twice[0])
            raise AuditError(f"{where}: column {shown!r} stands twice in the header; each must stand once")
        for column in received_columns():
            name = self.received_names.get(column.name)
            if name is not None and name not in names and not column.may_be_absent:
                shown = printable(", ".join(names))[:_SHOWN]
                raise AuditError(
                    f"{where}: column {name!r} is missing; {held_by}: {shown}"
                    f"{self._nearest(column.name, names)}"
                )

    def _nearest(self, column: str, names: Sequence[str]) -> str:
        known = set(self.received_names.values())
        plain = {_plain(name): name for name in names if name not in known}
        close = difflib.get_close_matches(_plain(self.received_names[column]), plain, n=1, cutoff=0.6)
        close = close or [key for key in plain if len(key) > 3 and _plain(column).startswith(key)]
        if not close:
            return ""
        near = plain[close[0]]
        return f"; {near}; did you mean columns: {{{column}: {near}}}?"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def origin() -> list[Column]:
    """``drop_date`` date and ``source_file`` text of a line that was read from a file of the landing."""
    return [F.col("drop_date").cast("date").alias("drop_date"), _file_name().alias("source_file")]


def _file_name() -> Column:
    """The name as it is in the landing. Spark encodes it as in a URI, in which a plus is a plus."""
    encoded = F.col("_metadata.file_name")
    decoded = F.url_decode(F.replace(encoded, F.lit("+"), F.lit("%2B")))
    return F.when(encoded.contains("%"), decoded).otherwise(encoded)


def in_normal_form(source: Source, fields: DataFrame) -> DataFrame:
    """Brings fields that were split into normal form C, where the lake asks for it.

    Args:
        source: where they were read from.
        fields: the columns of :meth:`Form.lines`, and :data:`PLAIN`.

    Returns:
        The columns of :meth:`Form.lines`.
    """
    if not source.is_normalized:
        return fields.drop(PLAIN)
    texts = [normalized_field(F.col(name), F.col(PLAIN)).alias(name) for name in received_names()]
    return fields.select(*texts, "malformed_text", "drop_date", "source_file")


def contract_schema() -> StructType:
    """Columns of the lines that a form hands on."""
    texts = [StructField(name, StringType()) for name in (*received_names(), "malformed_text")]
    return StructType(
        [*texts, StructField("drop_date", DateType()), StructField("source_file", StringType())]
    )
