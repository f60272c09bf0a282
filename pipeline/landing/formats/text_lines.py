"""Reads files as one text a record: by Spark's line reader where it can, else whole by a task each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipeline.landing.formats.base import FileStart, HeadedFile, LeftOut, Source, origin
from pipeline.landing.records import BYTE_ORDER_MARK, Recipe, first_record, in_batches
from pipeline.landing.unpack import UNREADABLE
from schemas.errors import AuditError
from transforms.delimited import Dialect
from transforms.unicode import normalized_line

# Column, boolean: whether a line is no header.
_IS_LINE = "is_line"
# Charsets whose lower half is ASCII, with one byte a character: bytes are taken as ISO 8859-1, which Spark
# decodes, then the upper half is translated.
_UPPER_HALF = bytes(range(0x80, 0x100))
_UPPER_OF_LATIN_1 = _UPPER_HALF.decode("latin-1")


def read_records(
    source: Source,
    files: Sequence[HeadedFile],
    recipe: Recipe,
    dialect: Dialect | None,
    keep: Callable[[Column], Column],
) -> DataFrame:
    """Records of files, without headers.

    Args:
        source: where they are.
        files: the files.
        recipe: how they are split into records.
        dialect: how a line is split, by which it is brought into normal form; None if its fields are later.
        keep: whether a record is one; others are left out.

    Returns:
        ``value`` text, ``drop_date`` date, ``source_file`` text; one row a record.
    """
    whole = [file for file in files if not is_plain(file.name, recipe)]
    repeating = [file for file in files if file.repeats_header and file not in whole]
    plain = [file for file in files if file not in whole and file not in repeating]
    parts = []
    if plain:
        # Spark's line reader has no place of a line in its file. So a line that repeats the header is left
        # out with it; whether there is one is found in the count of lines (see count_left_out).
        lines = _read_lines(source, plain, recipe).withColumns({_IS_LINE: ~_is_header(plain, recipe)})
        # Behind the projection into normal form, which leaves generated code: before it, a filter would take
        # a stage and a copy of each line by itself.
        parts.append(_in_normal_form(source, lines, dialect).filter(_IS_LINE).drop(_IS_LINE))
    if repeating:
        parts.append(_in_normal_form(source, _read_behind_header(source, repeating, recipe), dialect))
    if whole:
        parts.append(_in_normal_form(source, _read_whole(source, whole, recipe), dialect))
    return reduce(DataFrame.unionByName, parts).filter(keep(F.col("value")))


def headers_left_out(files: Sequence[HeadedFile], recipe: Recipe) -> int | None:
    """Number of lines that a read of files leaves out if none is blank and none repeats a header.

    None if Spark does not count lines: a file that one task reads whole counts as one.
    """
    if not all(is_plain(file.name, recipe) for file in files):
        return None
    if not recipe.has_header:
        return 0
    return sum(1 for file in files if file.header.line and not file.repeats_header)


def count_left_out(
    source: Source,
    files: Sequence[HeadedFile],
    recipe: Recipe,
    dialect: Dialect | None,
    keep: Callable[[Column], Column],
) -> list[LeftOut]:
    """Counts what :func:`read_records` leaves out of files, in one narrow scan of their text.

    A file that one task reads whole is left out here: of it, only the first line is taken for a header.

    Args:
        source: where they are.
        files: the files.
        recipe: how they are split into records.
        dialect: how a line is split, by which it is brought into normal form; None if its fields are later.
        keep: whether a record is one.
    """
    plain = [file for file in files if is_plain(file.name, recipe) and not file.repeats_header]
    if not plain:
        return []
    lines = _read_lines(source, plain, recipe)
    headers = lines.filter(_is_header(plain, recipe)).withColumns({"is_header": F.lit(True)})
    others = _in_normal_form(source, lines.filter(~_is_header(plain, recipe)), dialect)
    blank = others.filter(~keep(F.col("value"))).withColumns({"is_header": F.lit(False)})
    counted = (
        headers.unionByName(blank)
        .groupBy("drop_date", "source_file")
        .agg(F.count_if("is_header").alias("headers"), F.count_if(~F.col("is_header")).alias("blank"))
    )
    return [LeftOut(row.drop_date, row.source_file, row.headers, row.blank) for row in counted.collect()]


def _in_normal_form(source: Source, lines: DataFrame, dialect: Dialect | None) -> DataFrame:
    if not source.is_normalized or dialect is None:
        return lines
    return lines.withColumns({"value": normalized_line(F.col("value"), dialect)})


def is_plain(name: str, recipe: Recipe) -> bool:
    """Whether Spark's line reader splits a file as the recipe says."""
    ending = name.rpartition(".")[2]
    # Hadoop finds gzip and bzip2 by an ending in lower case, and has zstd only with native libraries.
    is_readable = ending.lower() not in ("gz", "bz2", "zst", "zip") or ending in ("gz", "bz2")
    one_line_each = recipe.skip_first == 0 and recipe.open_quote is None
    return is_readable and one_line_each and _upper_half(recipe.encoding) is not None


def first_line(start: FileStart, recipe: Recipe) -> str | None:
    """First record of a file, for its header; None if it has none.

    Raises:
        AuditError: the file cannot be read, or the members of a zip have different first lines.
    """
    if is_plain(start.name, recipe):
        return start.first_line(recipe.encoding)
    try:
        found = [first_record(part, recipe) for part in start.parts()]
    except UNREADABLE as error:
        raise AuditError(f"{start.where}: cannot be read: {error}") from None
    lines = [line for line in found if line is not None]
    if recipe.has_header and len(set(lines)) > 1:
        raise AuditError(f"{start.where}: its files have different headers: {lines[0]!r}, {lines[1]!r}")
    return lines[0] if lines else None


def _is_header(plain: Sequence[HeadedFile], recipe: Recipe) -> Column:
    headers = sorted({file.header.line for file in plain if file.header.line}) if recipe.has_header else []
    if not headers:
        return F.lit(False)
    return F.col("value").isin([*headers, *(f"{BYTE_ORDER_MARK}{line}" for line in headers)])


def _read_lines(source: Source, files: Sequence[HeadedFile], recipe: Recipe) -> DataFrame:
    text = source.spark.read.option("basePath", source.root).text([file.path for file in files])
    is_utf_8 = not _upper_half(recipe.encoding)  # as Spark takes every text
    value = F.col("value") if is_utf_8 else F.decode(F.col("value").cast("binary"), "ISO-8859-1")
    return text.select(_decoded(value, recipe.encoding).alias("value"), *origin())


def _read_behind_header(source: Source, files: Sequence[HeadedFile], recipe: Recipe) -> DataFrame:
    # Spark's CSV reader leaves out the first line of each file and no other. It costs about a microsecond a
    # line more than the line reader. Its delimiter and its quote are noncharacters of Unicode. A line that
    # holds the delimiter even so comes whole.
    options = {
        "header": True,
        "encoding": "ISO-8859-1" if _upper_half(recipe.encoding) else "UTF-8",
        "sep": "\uffff",
        "quote": "\ufffe",
        "escape": "\ufffe",
        "mode": "PERMISSIVE",
        "columnNameOfCorruptRecord": "whole",
    }
    reader = source.spark.read.schema("value string, whole string").options(**options)
    lines = reader.option("basePath", source.root).csv([file.path for file in files])
    value = F.coalesce("whole", "value")
    return lines.select(_decoded(value, recipe.encoding).alias("value"), *origin())


def _decoded(latin: Column, encoding: str) -> Column:
    """Text of a charset whose bytes were taken as ISO 8859-1; UTF-8 as it is."""
    upper = _upper_half(encoding)
    if not upper:
        return latin
    is_ascii = F.octet_length(latin) == F.char_length(latin)
    return F.when(is_ascii, latin).otherwise(F.translate(latin, _UPPER_OF_LATIN_1, upper))


def _upper_half(encoding: str) -> str | None:
    """The characters of bytes 0x80 to 0xFF; empty for UTF-8; None if a charset has no such table."""
    if encoding in ("utf-8", "utf-8-sig", "ascii"):
        return ""
    try:
        lower = bytes(range(0x80)).decode(encoding)
        upper = "".join(bytes([byte]).decode(encoding, "replace") for byte in _UPPER_HALF)
    except UnicodeError:
        return None
    is_single = lower == bytes(range(0x80)).decode("ascii") and len(upper) == len(_UPPER_HALF)
    # In a charset of several bytes, a byte of the upper half is no character by itself.
    is_table = is_single and upper.count("\ufffd") < 64
    return upper if is_table else None


def _read_whole(source: Source, files: Sequence[HeadedFile], recipe: Recipe) -> DataFrame:
    # binaryFile hands the packed bytes of a file to one Python task, which unpacks them in a stream. The
    # other sources read lines, or CSV by rules of their own, and none opens a zip.
    content = source.spark.read.format("binaryFile").option("basePath", source.root)
    packed = content.load([file.path for file in files]).select("content", *origin())
    return packed.mapInArrow(in_batches(recipe), "value string, drop_date date, source_file string")
