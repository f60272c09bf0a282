"""Parquet: typed columns, handed on as the text that the contract has for each type."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, DataFrameReader
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from pipeline.landing.formats.base import (
    PLAIN,
    FileStart,
    Form,
    HeadedFile,
    Header,
    Source,
    in_normal_form,
    origin,
)
from pipeline.landing.unpack import UNREADABLE, printable
from schemas.errors import AuditError
from schemas.landing import names_of, received_columns, received_names
from transforms.delivered import contract_value, in_contract_form
from transforms.fields import MAX_AMOUNT_DECIMALS, trimmed

_INSTANT = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"
_LOCAL = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"
# More decimals than any amount has: a double that is close to an amount is rounded from here.
_FLOAT_DECIMALS = 9
_MAX_PRECISION = 38
_SECOND = "yyyy-MM-dd'T'HH:mm:ss"
_SECOND_IN_NANOSECONDS = 1_000_000_000
# Metadata of a field: it holds nanoseconds since 1970; its value ends the text.
_NANOSECONDS = "nanoseconds"
_PLAIN_TYPES: tuple[tuple[Callable[[pa.DataType], bool], DataType], ...] = (
    (lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind), StringType()),
    (pa.types.is_boolean, BooleanType()),
    (pa.types.is_int8, ByteType()),
    (lambda kind: pa.types.is_int16(kind) or pa.types.is_uint8(kind), ShortType()),
    (lambda kind: pa.types.is_int32(kind) or pa.types.is_uint16(kind), IntegerType()),
    (lambda kind: pa.types.is_int64(kind) or pa.types.is_uint32(kind), LongType()),
    (pa.types.is_uint64, DecimalType(20, 0)),
    (pa.types.is_date, DateType()),
    (pa.types.is_float32, FloatType()),
    (pa.types.is_float64, DoubleType()),
    (lambda kind: pa.types.is_binary(kind) or pa.types.is_large_binary(kind), BinaryType()),
)


class ParquetFile(Form):
    """Parquet with one column for each of the contract; other columns are not read, whatever their type.

    Another format of typed columns overrides ``_read_schema`` and ``_scan``.
    """

    empty_file = "row"

    def header(self, start: FileStart) -> Header:
        """Column names of the schema, and the types of those that are read."""
        schema, old_times = self._schema(start)
        self.check_columns(start.where, schema.names, held_by="the file has")
        fields = []
        for name, received in self.received_names.items():
            if received in schema.names:
                _check_case(start.where, received, schema.names)
                kind = _plain(schema.field(received).type)
                self._check_float(start.where, name, received, kind)
                fields += _fields(start.where, received, kind, is_old_time=received in old_times)
        return Header(tuple(schema.names), StructType(fields).json())

    def notes(self, start: FileStart) -> list[str]:
        """Tells amounts that are rounded from binary floating point."""
        schema, _ = self._schema(start)
        rounded = [
            self.received_names[name]
            for name in _numbers()
            if self.received_names.get(name) in schema.names
            and pa.types.is_floating(_plain(schema.field(self.received_names[name]).type))
        ]
        if not rounded:
            return []
        return [
            f"{start.where}: {', '.join(rounded)} hold binary floating point and are rounded to the "
            "decimals of the currency (allow_float_amounts)"
        ]

    def _schema(self, start: FileStart) -> tuple[pa.Schema, set[str]]:
        try:
            with start.raw() as raw:
                return self._read_schema(raw)
        except UNREADABLE as error:
            raise AuditError(
                f"{start.where}: cannot be read as {self.profile.format}: {printable(str(error))[:200]}"
            ) from None

    def _read_schema(self, raw: IO[bytes]) -> tuple[pa.Schema, set[str]]:
        """The types of a file's columns, and those of the old type of times, INT96."""
        stored = pq.ParquetFile(raw).schema
        old_times = {c.path for c in map(stored.column, range(len(stored))) if c.physical_type == "INT96"}
        return stored.to_arrow_schema(), old_times

    def _scan(self, reader: DataFrameReader, paths: Sequence[str]) -> DataFrame:
        """The rows of files, by a reader that has their schema."""
        return reader.parquet(*paths)

    def _check_float(self, where: str, name: str, received: str, kind: pa.DataType) -> None:
        if pa.types.is_floating(kind) and not (self.profile.allow_float_amounts and name in _numbers()):
            raise AuditError(
                f"{where}: column {received!r} is {kind}, binary floating point, which cannot hold every "
                "decimal amount: deliver a decimal, an integer or a string, or set allow_float_amounts: true "
                "in its delivery profile to round it"
            )

    def lines(self, source: Source, files: Sequence[HeadedFile]) -> DataFrame:
        """Rows of files: one scan for each schema, since Spark reads a column as one type."""
        by_schema: dict[str, list[HeadedFile]] = defaultdict(list)
        for file in files:
            by_schema[file.header.line].append(file)
        parts = [self._of_one_schema(source, schema, group) for schema, group in by_schema.items()]
        return in_contract_form(reduce(DataFrame.unionByName, parts), self.forms)

    def headers_left_out(self, files: Sequence[HeadedFile]) -> int | None:
        """A Parquet file has no header line, and each of its rows is one."""
        del files
        return 0

    def _of_one_schema(self, source: Source, schema: str, files: Sequence[HeadedFile]) -> DataFrame:
        types = StructType.fromJson(json.loads(schema))
        reader = source.spark.read.option("basePath", source.root).schema(types)
        read = self._scan(reader, [file.path for file in files])
        fields = {field.name: field for field in types.fields}
        texts = [self._text(name, fields).alias(name) for name in received_names()]
        rows = read.select(*texts, F.lit(None).cast("string").alias("malformed_text"), *origin())
        normal = in_normal_form(source, rows.withColumn(PLAIN, F.lit(False)))
        rounded = [self._rounded(name, fields).alias(name) for name in received_names()]
        return normal.select(*rounded, "malformed_text", "drop_date", "source_file")

    def _text(self, name: str, fields: Mapping[str, StructField]) -> Column:
        received = self.received_names.get(name)
        if received is None or received not in fields:
            return F.lit(None).cast("string")
        quoted = received.replace("`", "``")
        return _as_text(F.col(f"`{quoted}`"), fields[received])

    def _rounded(self, name: str, fields: Mapping[str, StructField]) -> Column:
        """text: an amount that came as floating point, with the decimals of its currency.

        What is no number, as Infinity, stays as it is, and is rejected.
        """
        received = self.received_names.get(name, "")
        is_float = received in fields and isinstance(fields[received].dataType, FloatType | DoubleType)
        if name not in _numbers() or not is_float:
            return F.col(name)
        decimal = F.col(name).try_cast(f"decimal(38,{_FLOAT_DECIMALS})")
        if name not in names_of("amount"):
            return F.coalesce(_without_zeros(F.round(decimal, _numbers()[name])), F.col(name))
        rounded = F.round(decimal, 3)
        scales = self.forms.currency_scales
        currency = trimmed(contract_value("currency", self.forms))
        for scale in sorted(set(scales.values())):
            codes = [code for code, its_scale in scales.items() if its_scale == scale]
            rounded = F.when(currency.isin(codes), F.round(decimal, scale)).otherwise(rounded)
        return F.coalesce(_without_zeros(rounded), F.col(name))


def _numbers() -> dict[str, int]:
    """Decimals of each column that holds a decimal number; of an amount, the most that a currency has."""
    columns = [column for column in received_columns() if column.kind in ("quantity", "amount", "decimal")]
    return {
        column.name: column.scale if column.kind == "decimal" else MAX_AMOUNT_DECIMALS for column in columns
    }


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type of the values, whether they are stored by a dictionary or not."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _check_case(where: str, received: str, names: Sequence[str]) -> None:
    alike = sorted({name for name in names if name.lower() == received.lower()})
    if len(alike) > 1:
        raise AuditError(
            f"{where}: columns {', '.join(map(repr, alike))} differ in letter case alone, which Spark cannot "
            "tell apart: deliver one of them"
        )


def _fields(where: str, received: str, kind: pa.DataType, *, is_old_time: bool) -> list[StructField]:
    """How Spark reads a column; nothing for a column that holds nothing.

    Raises:
        AuditError: it is of a type that is no plain value of the contract.
    """
    if pa.types.is_null(kind):
        return []
    if is_old_time:
        return [StructField(received, TimestampType())]
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        # Spark has no such type: it reads the number (spark.sql.legacy.parquet.nanosAsLong).
        return [StructField(received, LongType(), metadata={_NANOSECONDS: "Z" if kind.tz else ""})]
    if pa.types.is_decimal(kind) and kind.precision <= _MAX_PRECISION:
        return [StructField(received, DecimalType(kind.precision, kind.scale))]
    if pa.types.is_timestamp(kind):
        return [StructField(received, TimestampType() if kind.tz else TimestampNTZType())]
    found = next((spark for is_kind, spark in _PLAIN_TYPES if is_kind(kind)), None)
    if found is None:
        raise AuditError(
            f"{where}: column {received!r} is {kind}; it must be a plain value: a string, an integer, a "
            f"decimal of at most {_MAX_PRECISION} digits, a boolean, a date or a timestamp"
        )
    return [StructField(received, found)]


def _as_text(value: Column, field: StructField) -> Column:
    """text: a typed value in the contract's form. A decimal's zeros at the end come from its type."""
    kind = field.dataType
    if _NANOSECONDS in field.metadata:
        # With all nine digits, which the contract's form holds.
        rest = F.pmod(value, F.lit(_SECOND_IN_NANOSECONDS))
        seconds = F.call_function("div", value - rest, F.lit(_SECOND_IN_NANOSECONDS))
        second, digits = (
            F.date_format(F.timestamp_seconds(seconds), _SECOND),
            F.lpad(rest.cast("string"), 9, "0"),
        )
        return F.concat(second, F.lit("."), digits, F.lit(field.metadata[_NANOSECONDS]))
    if isinstance(kind, StringType):
        return value
    if isinstance(kind, DecimalType):
        return _without_zeros(value)
    if isinstance(kind, TimestampType):
        return F.date_format(value, _INSTANT)
    if isinstance(kind, TimestampNTZType):
        return F.date_format(value, _LOCAL)
    return value.cast("string")


def _without_zeros(number: Column) -> Column:
    text = number.cast("string")
    return F.when(text.contains("."), F.regexp_replace(text, r"\.?0+$", "")).otherwise(text)
