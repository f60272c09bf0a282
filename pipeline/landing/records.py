"""Splits whole files into records, in a Python worker: what Spark's line reader cannot do.

Spark reads a plain text file as lines, split over many tasks. A file goes this way, as one task, if it is a
zip or zstd file, if the ending of its compression is in upper case (Hadoop finds codecs by lower case), if
its charset has line ends that are no single byte, or if records hold line ends or lines before the header are
to be skipped. Everything behind it is the same: one text a record.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import quote

import pyarrow as pa

from pipeline.landing.unpack import UNREADABLE, open_parts

BYTE_ORDER_MARK = "\ufeff"
# Characters up to the blank alone make a blank line, as for Spark's CSV reader.
BLANK = "".join(map(chr, range(0x21)))
_ROWS_PER_BATCH = 8192
# A quote that is never closed would take the rest of its file for one record.
_MAX_LINES_OF_A_RECORD = 1000


@dataclass(frozen=True)
class Recipe:
    """How a file is split into records.

    Attributes:
        encoding: charset, by its Python name.
        skip_first: number of lines before the header.
        has_header: whether the first line that is not blank names the columns, and is no record.
        open_quote: pattern of a text that ends within a quoted field; None if a line end ends each record.
    """

    encoding: str = "utf-8"
    skip_first: int = 0
    has_header: bool = True
    open_quote: str | None = None


def records(part: IO[bytes], recipe: Recipe) -> Iterator[str]:
    """The records of one stream, without the header; blank lines are left out."""
    found = _records_and_header(part, recipe)
    if recipe.has_header:
        next(found, None)
    yield from found


def first_record(part: IO[bytes], recipe: Recipe) -> str | None:
    """The first record of a stream, which is its header if it has one; None if there is none."""
    return next(_records_and_header(part, recipe), None)


def _records_and_header(part: IO[bytes], recipe: Recipe) -> Iterator[str]:
    lines = _lines(part, recipe.encoding)
    for _ in range(recipe.skip_first):
        next(lines, None)
    whole = lines if recipe.open_quote is None else _joined(lines, re.compile(recipe.open_quote))
    return (line for line in whole if line.strip(BLANK))


def _lines(part: IO[bytes], encoding: str) -> Iterator[str]:
    # A line ends at \n, \r\n or \r, as for Spark. Bytes that are no text of the charset become U+FFFD, which
    # makes the line malformed.
    text = io.TextIOWrapper(part, encoding=encoding, errors="replace", newline=None)
    for number, line in enumerate(text):
        ended = line.removesuffix("\n")
        yield ended.removeprefix(BYTE_ORDER_MARK) if number == 0 else ended


def _joined(lines: Iterator[str], is_open: re.Pattern[str]) -> Iterator[str]:
    """Joins the lines of a record whose quoted field holds line ends."""
    waiting: list[str] = []
    for line in lines:
        waiting.append(line)
        if is_open.fullmatch("\n".join(waiting)):
            if len(waiting) < _MAX_LINES_OF_A_RECORD:
                continue
            yield from waiting  # each by itself: those with an open quote are malformed
        else:
            yield "\n".join(waiting)
        waiting = []
    yield from waiting


def in_batches(recipe: Recipe) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function for ``mapInArrow``: files in, records out.

    Its input has the columns ``content`` binary, ``drop_date`` date, ``source_file`` text; its output
    ``value`` text and the same two. Records leave in batches, so that only the packed file is held in memory.
    """

    def split(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in range(batch.num_rows):
                content, date, name = (batch.column(i)[row].as_py() for i in range(3))
                yield from _as_batches(content, date, name, recipe)

    return split


def _as_batches(content: bytes, date: Any, name: str, recipe: Recipe) -> Iterator[pa.RecordBatch]:
    waiting: list[str] = []
    try:
        for part in open_parts(io.BytesIO(content), name):
            for record in records(part, recipe):
                waiting.append(record)
                if len(waiting) == _ROWS_PER_BATCH:
                    yield _batch(waiting, date, name)
                    waiting = []
    except UNREADABLE as error:
        # In the form of Spark's own errors, so that the run names the file.
        raise ValueError(f"Caused by: {error} drop_date={date}/{quote(name)}\n") from None
    if waiting:
        yield _batch(waiting, date, name)


def _batch(values: list[str], date: Any, name: str) -> pa.RecordBatch:
    size = len(values)
    return pa.record_batch(
        {
            "value": pa.array(values, pa.string()),
            "drop_date": pa.array([date] * size, pa.date32()),
            "source_file": pa.array([name] * size, pa.string()),
        }
    )
