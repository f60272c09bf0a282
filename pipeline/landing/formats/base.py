"""What a file format provides, and what all formats share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class Source:
    """Where files are read from, and under which names.

    Attributes:
        spark: session.
        root: full URI of the landing.
        received_names: name under which each contract column is received.
    """

    spark: SparkSession
    root: str
    received_names: Mapping[str, str]


class Format(ABC):
    """A format of delivered files.

    Attributes:
        endings: endings of its files' names.
        empty_file: what a file without any line lacks, for messages.
        has_header: whether the first line of a file names its columns. Files of one header are read together.
    """

    endings: tuple[str, ...]
    empty_file: str
    has_header: bool

    @abstractmethod
    def columns(self, where: str, first_line: str, received_names: Mapping[str, str]) -> tuple[str, ...]:
        """Column names of a file.

        Args:
            where: the file, for messages.
            first_line: its first line that is not blank.
            received_names: name under which each contract column is received.

        Raises:
            AuditError: the file cannot be read as this format, or lacks a column of the contract.
        """

    @abstractmethod
    def lines(self, source: Source, columns: Sequence[str], paths: list[str]) -> DataFrame:
        """Every line of files, as text.

        Args:
            source: where they are.
            columns: column names of the files; empty for a format without a header.
            paths: full URIs, special characters escaped.

        Returns:
            The received columns as text under their contract names, ``malformed_text`` (a line that cannot be
            split into fields), ``drop_date``, ``source_file``; one row a line. Blank lines are left out.
        """


def origin() -> list[Column]:
    """``drop_date`` date and ``source_file`` text of a line that was read from a file of the landing."""
    return [F.col("drop_date").cast("date").alias("drop_date"), _file_name().alias("source_file")]


def _file_name() -> Column:
    """The name as it is in the landing. Spark encodes it as in a URI, in which a plus is a plus."""
    encoded = F.col("_metadata.file_name")
    decoded = F.url_decode(F.replace(encoded, F.lit("+"), F.lit("%2B")))
    return F.when(encoded.contains("%"), decoded).otherwise(encoded)
