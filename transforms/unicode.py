"""Makes equal texts equal bytes: composed (NFC), and without invisible characters around a field."""

from __future__ import annotations

import unicodedata
from functools import cache

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.delimited import Dialect

# Format characters: zero-width, directional and byte-order marks, soft hyphens. Words hold joiners, so only
# the ends of a field lose them. A field of a line ends at a delimiter, at a quote beside one, and at the ends
# of its line.
_INVISIBLE_AROUND = r"(?<=^|{d})\p{{Cf}}++|\p{{Cf}}++(?={d}|\z)"
_INVISIBLE_IN_QUOTES = r"(?<=^{q}|{d}{q})\p{{Cf}}++|\p{{Cf}}++(?={q}(?:{d}|\z))"
_INVISIBLE_AT_ENDS = r"^[\s\u00a0]*+\p{Cf}[\s\u00a0\p{Cf}]*+|(?<![\s\u00a0\p{Cf}])[\s\u00a0\p{Cf}]++\z"
# Characters of most texts: each is composed by itself, none composes with another, and none is invisible.
COMPOSED = (
    r"^[\x00-\xac\xae-\u02ff\u0388-\u0482\u048a-\u0530\u1e00-\u1eff\u2010-\u2027\u2030-\u205e\u20a0-\u20cf"
    r"\u3041-\u3096\u30a1-\u30ff\u4e00-\u9fff\uac00-\ud7a3]*+\z"
)
_COMPOSER = ("com.ibm.icu.text.Normalizer", "compose")
# Noncharacters of Unicode: each stands for a character that would become a mark, while a line is composed.
_STAND_INS = "\ufdd0\ufdd1\ufdd2\ufdd3"


def normalized_line(line: Column, dialect: Dialect) -> Column:
    """text: a delimited line in normal form C, without invisible characters at the ends of its fields.

    The line has the same fields as before: a character that normal form C makes a delimiter or a quote, as
    the Greek question mark a semicolon, stays as it is.

    Spark has no function for it. ICU, which Spark ships, is called for lines that are not ASCII alone. Such
    a call leaves generated code, so it stands in a projection of its own over few columns.

    Args:
        line: text.
        dialect: how it is split.
    """
    kept = _become(f"{dialect.delimiter}{dialect.quote or ''}")
    stand_ins = _STAND_INS[: len(kept)]
    safe = F.translate(line, kept, stand_ins) if kept else line
    composed = _composed(safe)
    whole = F.translate(composed, stand_ins, kept) if kept else composed
    forms = [_INVISIBLE_AROUND, *([_INVISIBLE_IN_QUOTES] if dialect.quote else [])]
    around = "|".join(forms).format(d=dialect.escaped_delimiter, q=dialect.escaped_quote)
    return F.when(_is_composed(line), line).otherwise(F.regexp_replace(whole, around, ""))


def normalized_field(text: Column, needs_none: Column) -> Column:
    """text: a field in normal form C, without invisible characters, and blanks beside them, at its ends.

    Args:
        text: text of one field.
        needs_none: boolean, whether nothing of the field's line can need it, as :func:`is_ascii` says.
    """
    is_clean = needs_none | text.isNull() | _is_composed(text)  # ICU takes no null
    return F.when(is_clean, text).otherwise(F.regexp_replace(_composed(text), _INVISIBLE_AT_ENDS, ""))


def is_ascii(text: Column) -> Column:
    """boolean: whether a text holds ASCII characters alone."""
    return F.octet_length(text) == F.char_length(text)


def _is_composed(text: Column) -> Column:
    """boolean: whether a text surely is in normal form C, with nothing invisible: found at little cost."""
    return is_ascii(text) | text.rlike(COMPOSED)


def _composed(text: Column) -> Column:
    return F.java_method(*[F.lit(name) for name in _COMPOSER], text, F.lit(False))


@cache
def _become(marks: str) -> str:
    """Characters that normal form C turns into one of these marks."""
    above_ascii = map(chr, range(0x80, 0x10000))
    return "".join(c for c in above_ascii if unicodedata.normalize("NFC", c) in tuple(marks))
