"""Delimited text, by RFC 4180 unless the profile says otherwise, with a header or a list of column names.

Lines are read as text and split by Spark's CSV parser in an expression, not by Spark's CSV reader: that one
hides the line, so that an open quote is taken for a closed one, and it needs one scan, with all rules in
it, for each header. Reading this way costs no more (docs/explanation/performance.md).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DateType, IntegerType, StringType, StructField, StructType

from pipeline.lake.frames import local_frame
from pipeline.landing.formats.base import FileStart, Form, HeadedFile, Header, LeftOut, Source
from pipeline.landing.formats.text_lines import (
    count_left_out,
    first_line,
    headers_left_out,
    read_records,
)
from pipeline.landing.records import Recipe
from pipeline.landing.trailers import RecordTypes
from pipeline.landing.unpack import printable
from pipeline.profiles import DeliveryProfile
from schemas.drops import ManifestFile
from schemas.errors import AuditError
from schemas.landing import received_names
from transforms.delimited import MALFORMED, Dialect, is_record, is_unsound, split_record
from transforms.delivered import FieldForms, in_contract_form

_RECORD = "record"
_LAYOUT = StructType(
    [
        StructField("drop_date", DateType()),
        StructField("source_file", StringType()),
        StructField("padding", StringType()),
        StructField("positions", ArrayType(IntegerType())),
    ]
)


class CsvText(Form):
    """Delimited text."""

    def __init__(
        self, profile: DeliveryProfile, received_names: Mapping[str, str], forms: FieldForms
    ) -> None:
        """Takes the profile, the names of its columns and the forms of its fields."""
        super().__init__(profile, received_names, forms)
        self.dialect = Dialect(profile.delimiter, profile.quote, profile.escape == "backslash")
        self.types = RecordTypes(profile, profile.record_type, self.dialect) if profile.record_type else None
        self.recipe = Recipe(
            encoding=profile.encoding,
            skip_first=profile.skip_first,
            has_header=profile.header is True,
            open_quote=self.dialect.open_quote if profile.multiline else None,
        )

    def header(self, start: FileStart) -> Header:
        """Column names of the header or of the profile; each contract column stands among them once."""
        line = first_line(start, self.recipe)
        if line is None:
            return Header()
        if isinstance(self.profile.header, tuple):
            self.check_columns(start.where, self.profile.header, held_by="the profile's header has")
            return Header(self.profile.header)
        names = self._names(start.where, line)
        self.check_columns(start.where, names, held_by="the header has")
        return Header(names, line)

    def _names(self, where: str, line: str) -> tuple[str, ...]:
        try:
            fields = self.dialect.split(line)
        except (csv.Error, ValueError) as error:
            raise AuditError(f"{where}: its first line is no header: {printable(str(error))}") from None
        return tuple(name.strip() for name in fields)

    def lines(self, source: Source, files: Sequence[HeadedFile]) -> DataFrame:
        """Lines of files, whatever headers they have: the rules behind are planned once."""
        found = read_records(source, files, self.recipe, self.dialect, self._keeps)
        layouts = {file.header.columns for file in files}
        if len(layouts) == 1:
            fields = self._split(found, *layouts)
        else:
            fields = self._split_by_layout(source, found, files)
        return in_contract_form(fields, self.forms)

    def headers_left_out(self, files: Sequence[HeadedFile]) -> int | None:
        """Headers, which Spark reads as lines."""
        return headers_left_out(files, self.recipe)

    def count_left_out(self, source: Source, files: Sequence[HeadedFile]) -> list[LeftOut]:
        """Counts headers and blank lines."""
        return count_left_out(source, files, self.recipe, self.dialect, self._is_record)

    def control_totals(self, start: FileStart) -> ManifestFile | None:
        """What the file's trailer says."""
        return None if self.types is None else self.types.control_totals(start, self.recipe)

    def extra_columns(self, names: Sequence[str]) -> list[str]:
        """Columns of a file that the contract does not know; a profile that lists columns knows all."""
        return [] if isinstance(self.profile.header, tuple) else super().extra_columns(names)

    def _is_record(self, value: Column) -> Column:
        return is_record(value, self.dialect)

    def _keeps(self, value: Column) -> Column:
        keeps = self._is_record(value)
        return keeps if self.types is None else keeps & ~self.types.is_other(value)

    def _split(self, found: DataFrame, columns: Sequence[str]) -> DataFrame:
        positions = self._positions(columns)
        record = split_record(F.col("value"), len(columns), self.dialect)
        split = found.select("value", "drop_date", "source_file", record.alias(_RECORD))
        fields = [
            _absent(name) if at is None else F.col(f"{_RECORD}.c{at}").alias(name)
            for name, at in zip(received_names(), positions, strict=True)
        ]
        return split.select(*fields, self._malformed(), "drop_date", "source_file")

    def _split_by_layout(self, source: Source, found: DataFrame, files: Sequence[HeadedFile]) -> DataFrame:
        """Splits records of several headers: each line looks up where its file has each column."""
        width = max(len(file.header.columns) for file in files)
        rows = [
            {
                "drop_date": file.drop_date,
                "source_file": file.name,
                "padding": self.profile.delimiter * (width - len(file.header.columns)),
                "positions": self._positions(file.header.columns),
            }
            for file in files
        ]
        layouts = F.broadcast(local_frame(source.spark, _LAYOUT, rows))
        record = split_record(F.col("value"), width, self.dialect, F.col("padding"))
        split = found.join(layouts, ["drop_date", "source_file"]).select(
            "value", "drop_date", "source_file", "positions", record.alias(_RECORD)
        )
        cells = F.array(*[F.col(f"{_RECORD}.c{position}") for position in range(width)])
        placed = split.select("*", cells.alias("cells"))
        fields = [
            F.get("cells", F.get("positions", F.lit(number))).alias(name)
            for number, name in enumerate(received_names())
        ]
        return placed.select(*fields, self._malformed(), "drop_date", "source_file")

    def _malformed(self) -> Column:
        value = F.col("value")
        is_malformed = F.col(f"{_RECORD}.{MALFORMED}").isNotNull() | is_unsound(value, self.dialect)
        if self.types is not None:
            is_malformed = is_malformed | self.types.is_unknown(value)
        return F.when(is_malformed, value).alias("malformed_text")

    def _positions(self, columns: Sequence[str]) -> list[int | None]:
        """Where a header has each column of the contract; None for one that it lacks."""
        names = [self.received_names.get(name) for name in received_names()]
        return [columns.index(name) if name is not None and name in columns else None for name in names]


def _absent(name: str) -> Column:
    """A column that the file lacks."""
    return F.lit(None).cast("string").alias(name)
