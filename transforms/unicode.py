"""Makes equal texts equal bytes: composed (NFC), and without invisible characters around a field."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

# Format characters: zero-width, directional and byte-order marks, soft hyphens. Words hold joiners, so only
# the ends of a field lose them. A field ends at a delimiter, at a quote beside one, and at the ends of its
# line.
_INVISIBLE_AROUND = r"(?<=^|{d}|^[\"]|{d}[\"])\p{{Cf}}++|\p{{Cf}}++(?=[\"]?(?:{d}|\z))"
_COMPOSER = ("com.ibm.icu.text.Normalizer", "compose")


def normalized(line: Column, delimiter: str) -> Column:
    """text: a line in normal form C, without invisible characters at the ends of its fields.

    Spark has no function for it. ICU, which Spark ships, is called for lines that are not ASCII alone. Such
    a call leaves generated code, so it stands in a projection of its own over few columns.

    Args:
        line: text.
        delimiter: regular expression of what stands between two fields.
    """
    is_ascii = F.octet_length(line) == F.char_length(line)
    composed = F.java_method(*[F.lit(name) for name in _COMPOSER], line, F.lit(False))
    bare = F.regexp_replace(composed, _INVISIBLE_AROUND.format(d=delimiter), "")
    return F.when(is_ascii, line).otherwise(bare)
