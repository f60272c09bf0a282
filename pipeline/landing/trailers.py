"""Lines that say what kind of record they are: which are sales, and what the last one says of its file."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import IO

from pyspark.sql import Column
from pyspark.sql import functions as F

from pipeline.landing.formats.base import FileStart
from pipeline.landing.records import Recipe, records
from pipeline.landing.unpack import UNREADABLE, compression_of, printable
from pipeline.profiles import DeliveryProfile, RecordType
from schemas.drops import ManifestFile
from schemas.errors import AuditError, NotReadyError
from transforms.delimited import Dialect
from transforms.delivered import decimal_form, without_separators

# A trailer is looked for in so many bytes at the end of a file.
_TAIL = 1 << 16
_CHARACTER = 4
_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ROWS_FORM = re.compile(r"0*(\d{1,15})")


@dataclass(frozen=True)
class RecordTypes:
    """The kinds of record of a profile."""

    profile: DeliveryProfile
    record_type: RecordType
    dialect: Dialect

    def is_other(self, value: Column) -> Column:
        """boolean: whether a line is a trailer, or of a type that is passed over."""
        record = self.record_type
        return self._type(value).isin([*record.skip, *([record.trailer] if record.trailer else [])])

    def is_unknown(self, value: Column) -> Column:
        """boolean: whether a line is of no known type."""
        return ~self.is_other(value) & (self._type(value) != self.record_type.data)

    def _type(self, value: Column) -> Column:
        record, quote = self.record_type, self.profile.quote
        if self.profile.format == "fixed_width":
            longest = max(map(len, [record.data, record.trailer or "", *record.skip]))
            return F.substring(value, record.position, longest)
        field = F.split_part(value, F.lit(self.profile.delimiter), F.lit(record.position))
        if quote is not None:
            # Few lines hold a quote, and only those are matched. One that is unsound is of no type.
            exact = F.regexp_extract(value, self.dialect.field_at(record.position), 1)
            field = F.when(value.contains(quote), exact).otherwise(field)
        return F.btrim(field, F.lit(f" {quote or ''}"))

    def control_totals(self, start: FileStart, recipe: Recipe) -> ManifestFile | None:
        """What the trailers of a file say; None if the profile has no trailer.

        Raises:
            AuditError: the file cannot be read, or a trailer's number is none.
            NotReadyError: there is no trailer.
        """
        if self.record_type.trailer is None:
            return None
        try:
            found = [fields for line in self._last_lines(start, recipe) for fields in self._trailer(line)]
        except UNREADABLE as error:
            raise AuditError(f"{start.where}: cannot be read: {printable(str(error))}") from None
        if not found:
            raise NotReadyError(
                f"file {start.name} has no trailer record {self.record_type.trailer!r}: it may be cut off"
            )
        return self._stated(start, found)

    def _last_lines(self, start: FileStart, recipe: Recipe) -> Iterator[str]:
        """Lines at the end of each stream of a file. What is compressed has to be unpacked up to there."""
        if not compression_of(start.name):
            with start.raw() as raw:
                tail, is_cut = _tail(raw)
            lines = records(io.BytesIO(tail), Recipe(recipe.encoding, has_header=False))
            # What the tail begins with may be the rest of a line, and look like another.
            yield from itertools.islice(lines, int(is_cut), None)
            return
        for part in start.parts():
            yield from _last(records(part, recipe))

    def _trailer(self, line: str) -> Iterator[list[str]]:
        record = self.record_type
        if self.profile.format == "fixed_width":
            start = record.position - 1
            if record.trailer is not None and line[start:].startswith(record.trailer):
                yield [line]
            return
        quote = self.profile.quote or ""
        try:
            fields = [field.strip(f" {quote}") for field in self.dialect.split(line)]
        except (csv.Error, ValueError):
            return
        if len(fields) >= record.position and fields[record.position - 1] == record.trailer:
            yield fields

    def _stated(self, start: FileStart, found: list[list[str]]) -> ManifestFile:
        record = self.record_type
        rows, gross = None, None
        if record.trailer_rows is not None:
            rows = sum(self._rows(start, fields, record.trailer_rows) for fields in found)
        if record.trailer_gross is not None:
            total = sum((self._gross(start, fields, record.trailer_gross) for fields in found), Decimal(0))
            gross = {self.profile.constants["currency"]: total}
        return ManifestFile(start.name, rows, gross, stated_by="trailer")

    def _rows(self, start: FileStart, fields: list[str], position: int) -> int:
        match = _ROWS_FORM.fullmatch(_field(fields, position))
        if match is None:
            raise AuditError(
                f"{start.where}: field {position} of its trailer is "
                f"{printable(_field(fields, position))!r}, must be a number of lines"
            )
        return int(match.group(1))

    def _gross(self, start: FileStart, fields: list[str], position: int) -> Decimal:
        text = _field(fields, position)
        decimal, thousands = self.profile.decimal, self.profile.thousands
        is_of_form = re.fullmatch(decimal_form(decimal, thousands), text, re.ASCII)
        pointed = without_separators(text, decimal, thousands)
        if not is_of_form or not re.fullmatch(r"[+-]?\d{1,18}(\.\d{1,6})?", pointed, re.ASCII):
            raise AuditError(
                f"{start.where}: field {position} of its trailer is {printable(text)!r}, no amount"
            )
        return Decimal(pointed)


def _field(fields: list[str], position: int) -> str:
    return fields[position - 1] if position <= len(fields) else ""


def _last(lines: Iterator[str]) -> Iterable[str]:
    """The lines at the end of a stream, as many as a tail holds: other records may follow a trailer."""
    kept: deque[str] = deque()
    size = 0
    for line in lines:
        kept.append(line)
        size += len(line)
        while size > _TAIL and len(kept) > 1:
            size -= len(kept.popleft())
    return kept


def _tail(raw: IO[bytes]) -> tuple[bytes, bool]:
    """The last bytes of a file, behind its byte order mark if it has one, and whether others stand before."""
    start = raw.read(_CHARACTER)
    mark = next((mark for mark in _MARKS if start.startswith(mark)), b"")
    size = raw.seek(0, io.SEEK_END)
    # From the start of a character, in a charset whose characters are all of two or four bytes.
    at = max(0, size - _TAIL) // _CHARACTER * _CHARACTER
    raw.seek(at)
    tail = raw.read()
    return (mark + tail, True) if at else (tail, False)
