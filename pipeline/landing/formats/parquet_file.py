"""Parquet: typed columns, handed on as the text that the contract has for each type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, DataFrameReader
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegralType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

from pipeline.landing.formats.base import FileStart, Form, HeadedFile, Header, Source, origin
from pipeline.landing.unpack import UNREADABLE, printable
from schemas.errors import AuditError
from schemas.landing import names_of, received_columns, received_names
from transforms.delivered import in_contract_form
from transforms.fields import MAX_AMOUNT_DECIMALS

_INSTANT = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"
_LOCAL = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"
# More decimals than any amount has: a double that is close to an amount is rounded from here.
_FLOAT_DECIMALS = 9


class ParquetFile(Form):
    """Parquet with one column for each of the contract; nested columns are left out."""

    empty_file = "row"

    def header(self, start: FileStart) -> Header:
        """Column names of the schema, with the types that decide how files are read together."""
        schema = self._schema(start)
        self.check_columns(start.where, schema.names, held_by="the file has")
        for name, received in self.received_names.items():
            if received in schema.names:
                self._check_type(start.where, name, received, schema.field(received).type)
        return Header(tuple(schema.names), str(schema.remove_metadata()))

    def notes(self, start: FileStart) -> list[str]:
        """Tells amounts that are rounded from binary floating point."""
        schema = self._schema(start)
        rounded = [
            self.received_names[name]
            for name in _numbers()
            if self.received_names.get(name) in schema.names
            and pa.types.is_floating(schema.field(self.received_names[name]).type)
        ]
        if not rounded:
            return []
        return [
            f"{start.where}: {', '.join(rounded)} hold binary floating point and are rounded to the "
            "decimals of the currency (allow_float_amounts)"
        ]

    def _schema(self, start: FileStart) -> pa.Schema:
        try:
            with start.raw() as raw:
                return self._read_schema(raw)
        except UNREADABLE as error:
            raise AuditError(
                f"{start.where}: cannot be read as {self.profile.format}: {printable(str(error))[:200]}"
            ) from None

    def _read_schema(self, raw: IO[bytes]) -> pa.Schema:
        return pq.read_schema(raw)

    def _check_type(self, where: str, name: str, received: str, kind: pa.DataType) -> None:
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        if pa.types.is_floating(value) and not (self.profile.allow_float_amounts and name in _numbers()):
            raise AuditError(
                f"{where}: column {received!r} is {kind}, binary floating point, which cannot hold every "
                "decimal amount: deliver a decimal, an integer or a string, or set allow_float_amounts: true "
                "in its delivery profile to round it"
            )
        if pa.types.is_nested(value):
            raise AuditError(f"{where}: column {received!r} is {kind}; it must be a plain value")

    def lines(self, source: Source, files: Sequence[HeadedFile]) -> DataFrame:
        """Rows of files: one scan for each schema, since Spark takes a column's type from one file."""
        by_schema: dict[str, list[HeadedFile]] = defaultdict(list)
        for file in files:
            by_schema[file.header.line].append(file)
        parts = [self._of_one_schema(source, group) for group in by_schema.values()]
        return in_contract_form(reduce(DataFrame.unionByName, parts), self.forms)

    def headers_left_out(self, files: Sequence[HeadedFile]) -> int | None:
        """A Parquet file has no header line, and each of its rows is one."""
        del files
        return 0

    def _of_one_schema(self, source: Source, files: Sequence[HeadedFile]) -> DataFrame:
        read = self._scan(source.spark.read.option("basePath", source.root), [file.path for file in files])
        types = {field.name: field.dataType for field in read.schema.fields}
        texts = [self._text(name, types).alias(name) for name in received_names()]
        rows = read.select(*texts, F.lit(None).cast("string").alias("malformed_text"), *origin())
        rounded = [self._rounded(name, types).alias(name) for name in received_names()]
        return rows.select(*rounded, "malformed_text", "drop_date", "source_file")

    def _scan(self, reader: DataFrameReader, paths: list[str]) -> DataFrame:
        return reader.parquet(*paths)

    def _text(self, name: str, types: Mapping[str, DataType]) -> Column:
        received = self.received_names.get(name)
        if received is None or received not in types:
            return F.lit(None).cast("string")
        return _as_text(F.col(f"`{received}`"), types[received])

    def _rounded(self, name: str, types: Mapping[str, DataType]) -> Column:
        """text: an amount that came as floating point, with the decimals of its currency."""
        received = self.received_names.get(name, "")
        if name not in _numbers() or not isinstance(types.get(received), FloatType | DoubleType):
            return F.col(name)
        decimal = F.col(name).try_cast(f"decimal(38,{_FLOAT_DECIMALS})")
        if name not in names_of("amount"):
            return _without_zeros(F.round(decimal, _numbers()[name]))
        rounded = F.round(decimal, 3)
        scales = self.forms.currency_scales
        for scale in sorted(set(scales.values())):
            codes = [code for code, its_scale in scales.items() if its_scale == scale]
            rounded = F.when(F.col("currency").isin(codes), F.round(decimal, scale)).otherwise(rounded)
        return _without_zeros(rounded)


def _numbers() -> dict[str, int]:
    """Decimals of each column that holds a decimal number; of an amount, the most that a currency has."""
    columns = [column for column in received_columns() if column.kind in ("quantity", "amount", "decimal")]
    return {
        column.name: column.scale if column.kind == "decimal" else MAX_AMOUNT_DECIMALS for column in columns
    }


def _as_text(value: Column, kind: DataType) -> Column:
    """text: a typed value in the contract's form. A decimal's zeros at the end come from its type."""
    if isinstance(kind, StringType):
        return value
    if isinstance(kind, DecimalType):
        return _without_zeros(value)
    if isinstance(kind, TimestampType):
        return F.date_format(value, _INSTANT)
    if isinstance(kind, TimestampNTZType):
        return F.date_format(value, _LOCAL)
    if isinstance(kind, IntegralType | BooleanType | DateType | BinaryType | FloatType | DoubleType):
        return value.cast("string")
    raise AuditError(f"a column of type {kind.simpleString()} cannot be read")


def _without_zeros(number: Column) -> Column:
    text = number.cast("string")
    return F.when(text.contains("."), F.regexp_replace(text, r"\.?0+$", "")).otherwise(text)
