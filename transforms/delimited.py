"""Splits a delimited record into fields, strictly by RFC 4180: a quoted field is quoted from end to end."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.fields import FIRST_VISIBLE, REPLACEMENT_CHARACTER

MALFORMED = "malformed"
# Spark's parser allocates this many cells once a task, and rejects a record with more of them.
_MAX_FIELDS = "1000000"
_END_OF_INPUT = "\uffff"
# What an empty field may hold beside nothing.
_EMPTY = "\\x00-\\x20\u00a0"


@dataclass(frozen=True)
class Dialect:
    """How a delimited record is written.

    Attributes:
        delimiter: one character.
        quote: one character; None if no field is quoted.
        backslash: whether a backslash, not a second quote, escapes a quote within a quoted field.
    """

    delimiter: str = ","
    quote: str | None = '"'
    backslash: bool = False

    @property
    def open_quote(self) -> str | None:
        """Pattern of a text that ends within a quoted field; None if no field is quoted."""
        if self.quote is None:
            return None
        return rf"(?s)(?:(?:{self._field}){self._delimiter})*+{self._quote}{self._within}"

    @property
    def sound(self) -> str:
        """Pattern of a record in which each quoted field is quoted from end to end."""
        return rf"(?s)^(?:{self._field})(?:{self._delimiter}(?:{self._field}))*+\z"

    @property
    def blank(self) -> str:
        """Pattern of a record whose fields are all empty."""
        field = rf"{self._quote}[{_EMPTY}]*+{self._quote}|[{_EMPTY}]*+" if self.quote else rf"[{_EMPTY}]*+"
        return rf"^(?:{field})(?:{self._delimiter}(?:{field}))*+\z"

    @property
    def escaped_delimiter(self) -> str:
        """The delimiter as a regular expression."""
        return self._delimiter

    @property
    def escaped_quote(self) -> str:
        """The quote as a regular expression; empty if no field is quoted."""
        return self._quote

    def field_at(self, position: int) -> str:
        """Pattern whose group 1 is the field of a sound record at a position from 1, with its quotes."""
        before = rf"(?:(?:{self._field}){self._delimiter}){{{position - 1}}}"
        return rf"(?s)^{before}({self._field})(?={self._delimiter}|\z)"

    @property
    def options(self) -> dict[str, str]:
        """Options of Spark's CSV parser."""
        return {
            "sep": self.delimiter,
            "quote": self.quote or "",
            "escape": "\\" if self.backslash else (self.quote or ""),
            "mode": "PERMISSIVE",
            "columnNameOfCorruptRecord": MALFORMED,
            "maxColumns": _MAX_FIELDS,
        }

    def split(self, line: str) -> list[str]:
        """Splits one record on the driver.

        Raises:
            csv.Error, ValueError: it is no record.
        """
        (fields,) = csv.reader(
            [line],
            delimiter=self.delimiter,
            quotechar=self.quote,
            quoting=csv.QUOTE_NONE if self.quote is None else csv.QUOTE_MINIMAL,
            doublequote=not self.backslash,
            escapechar="\\" if self.backslash else None,
        )
        return fields

    # Every quantifier that can be is possessive, so that a long record needs neither backtracking nor stack.
    @property
    def _field(self) -> str:
        if self.quote is None:
            return rf"[^{self._delimiter}]*+"
        quoted = rf"{self._quote}{self._within}{self._quote}"
        return rf"{quoted}|[^{self._quote}{self._delimiter}][^{self._delimiter}]*+|"

    @property
    def _within(self) -> str:
        if self.backslash:
            return rf"(?:[^{self._quote}\\]|\\.)*+"
        return rf"(?:[^{self._quote}]|{self._quote}{self._quote})*+"

    @property
    def _quote(self) -> str:
        return _literal(self.quote or "")

    @property
    def _delimiter(self) -> str:
        return _literal(self.delimiter)


def split_record(value: Column, width: int, dialect: Dialect, padding: Column | None = None) -> Column:
    """struct: fields ``c0``, ``c1``, ... text and ``malformed`` text, which is null for a record of this
    width. U+FFFF, which is no character, becomes U+FFFD.

    Args:
        value: text of a record.
        width: number of fields.
        dialect: how the record is written.
        padding: delimiters for the fields that records of a narrower file lack; None if all are of this
        width.
    """
    names = [*(f"c{position}" for position in range(width)), MALFORMED]
    schema = ", ".join(f"{name} string" for name in names)
    # The parser takes U+FFFF for the end of its input: it would cut this record and shift the next one.
    readable = F.when(
        value.contains(_END_OF_INPUT), F.replace(value, F.lit(_END_OF_INPUT), F.lit(REPLACEMENT_CHARACTER))
    ).otherwise(value)
    whole = readable if padding is None else F.concat(readable, padding)
    return F.from_csv(whole, schema, dialect.options)


def is_unsound(value: Column, dialect: Dialect) -> Column:
    """boolean: whether a quote of a record is unbalanced or stands where none may."""
    if dialect.quote is None:
        return F.lit(False)
    # Few records hold a quote, and only those are matched.
    return value.contains(dialect.quote) & ~value.rlike(dialect.sound)


def is_record(value: Column, dialect: Dialect) -> Column:
    """boolean: whether a line holds anything: no line of blanks, nor one whose fields are all empty."""
    starts_visible = value >= FIRST_VISIBLE
    is_visible = starts_visible | value.rlike(r"[^\x00-\x20]")
    may_be_empty = ~starts_visible | value.startswith(dialect.delimiter) | value.startswith("\u00a0")
    if dialect.quote:
        may_be_empty = may_be_empty | value.startswith(dialect.quote)
    return is_visible & ~(may_be_empty & value.rlike(dialect.blank))


def _literal(character: str) -> str:
    """A character as a regular expression, also within brackets."""
    return re.escape(character) if character else ""
