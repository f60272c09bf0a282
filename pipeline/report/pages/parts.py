"""The parts that pages are made of: tables, pictures and sections, and the format of their values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

# A longer table is folded away; a reader opens it.
_OPEN_ROWS = 14
_LONG = 24


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Attributes:
        caption: what it shows.
        headers: names of the columns.
        rows: cells as text, or as HTML that is known to be safe; the first cell names the row.
        text_columns: positions of the columns that hold text; the others hold numbers.
        total: last row, which sums up; empty for none.
    """

    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str | Markup]]
    text_columns: Sequence[int] = (0,)
    total: Sequence[str] = ()

    @property
    def is_folded(self) -> bool:
        """Whether the table is too long to stand open."""
        return len(self.rows) > _OPEN_ROWS

    @property
    def has_long_text(self) -> bool:
        """Whether the last column holds sentences, which need room on a narrow screen."""
        last = len(self.headers) - 1
        return last in self.text_columns and any(len(row[last]) > _LONG for row in self.rows)


@dataclass(frozen=True)
class Picture:
    """A picture, and what it says in words."""

    svg: Markup
    caption: str
    is_wide: bool = False


@dataclass
class Section:
    """A section of a page.

    Attributes:
        key: its id.
        title: its heading.
        words: sentences before the picture.
        pictures: pictures; each has its numbers in one of the tables.
        tables: tables.
    """

    key: str
    title: str
    words: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


def count(number: int) -> str:
    """A number of lines with thousands separators."""
    return f"{number:,}"


def plural(number: int, thing: str) -> str:
    """A number and what it counts."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def share(part: float, whole: float) -> str:
    """A part as a percentage; empty without a whole."""
    return f"{part / whole:.1%}" if whole else ""


def seconds_text(seconds: float) -> str:
    """A duration in seconds, with one decimal below 100."""
    return f"{seconds:,.1f}" if seconds < 100 else f"{seconds:,.0f}"


def moment(at: dt.datetime | None) -> str:
    """A time in UTC."""
    return "" if at is None else f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
