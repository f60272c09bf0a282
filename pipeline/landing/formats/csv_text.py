"""CSV with a header, plain or gzipped: RFC 4180 in UTF-8, in which a field holds no line end."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipeline.landing.formats.base import Format, Source, origin
from schemas.errors import AuditError
from schemas.landing import RECEIVED_COLUMNS, RECEIVED_NAMES

# Spark's parser allocates this many cells once a file, and rejects a line with more of them.
_MAX_FIELDS = 1_000_000


class CsvText(Format):
    """Comma-separated text."""

    endings = (".csv", ".csv.gz")
    empty_file = "header"
    has_header = True

    def columns(self, where: str, first_line: str, received_names: Mapping[str, str]) -> tuple[str, ...]:
        """Column names of the header; each column of the contract stands in it once."""
        try:
            names = tuple(name.strip() for name in next(csv.reader([first_line])))
        except csv.Error as error:
            raise AuditError(f"{where}: its first line is no header: {error}") from None
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if twice:
            raise AuditError(f"{where}: column {twice[0]!r} stands twice in the header; each must stand once")
        for column in RECEIVED_COLUMNS:
            name = received_names[column.name]
            if name not in names and not column.may_be_absent:
                shown = ", ".join(names)[:200]
                raise AuditError(f"{where}: column {name!r} is missing; the header has: {shown}")
        return names

    def lines(self, source: Source, columns: Sequence[str], paths: list[str]) -> DataFrame:
        """Lines of files that have this header."""
        contract = {received: name for name, received in source.received_names.items()}
        # Unknown columns keep their place under our own names: theirs may be empty, or differ only in case.
        fields = [contract.get(name, f"_extra_{position}") for position, name in enumerate(columns)]
        schema = ", ".join(f"`{field}` string" for field in [*fields, "malformed_text"])
        return (
            source.spark.read.schema(schema)
            .options(
                header=True,
                enforceSchema=True,
                mode="PERMISSIVE",
                columnNameOfCorruptRecord="malformed_text",
                quote='"',
                escape='"',
                encoding="UTF-8",
                maxColumns=_MAX_FIELDS,
                basePath=source.root,
            )
            .csv(paths)
            .select(*[_field(name, fields) for name in RECEIVED_NAMES], "malformed_text", *origin())
        )


def _field(name: str, fields: Collection[str]) -> Column:
    """A field of a line; null if the file has no such column."""
    return F.col(name) if name in fields else F.lit(None).cast("string").alias(name)
