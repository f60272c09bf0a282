"""JSON lines: one object a line, in UTF-8."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipeline.landing.formats.base import BYTE_ORDER_MARK, Format, Source, origin
from schemas.landing import names_of

_BLANK = " \t\r"
_SPACE = r"[ \t\r]"
# Matches a quoted text, which is kept, or a number that is a value and no key. Every quantifier is
# possessive, so that a long text needs neither backtracking nor stack.
_TEXT_OR_NUMBER = (
    r'(?s)"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
    r"|(?<![0-9A-Za-z.+-])(-?(?:0|[1-9][0-9]*+)(?:[.][0-9]++)?+(?:[eE][+-]?+[0-9]++)?+)"
    rf"(?={_SPACE}*+(?:[,}}\]]|\z))"
)
_MAX_CHARACTERS = 2**31 - 1


class JsonLines(Format):
    """One JSON object a line; a line without a key holds null there."""

    endings = (".json",)
    empty_file = "line"
    has_header = False

    def columns(self, where: str, first_line: str, received_names: Mapping[str, str]) -> tuple[str, ...]:
        """Keys of the first line; if it is no object, the file still has lines, each judged by itself."""
        try:
            content = json.loads(first_line)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict) or not content:
            return ("",)
        # Messages and tables cannot hold a lone surrogate: show its escape.
        return tuple(name.encode("utf-8", "backslashreplace").decode() for name in content)

    def lines(self, source: Source, columns: Sequence[str], paths: list[str]) -> DataFrame:
        """Lines of files, whatever keys they have."""
        text = source.spark.read.option("basePath", source.root).text(paths)
        # Cut the mark off as a prefix: btrim would also remove single bytes of it.
        marked = F.col("value").startswith(BYTE_ORDER_MARK)
        value = F.when(marked, F.substring("value", 2, _MAX_CHARACTERS)).otherwise(F.col("value"))
        stripped = F.btrim(value, F.lit(_BLANK))
        # Brackets make a second object on the line an error; without them the parser ignores it.
        # A variant keeps the digits of most numbers; a JSON parse to text goes through floating point.
        exact = F.when(
            stripped.rlike(_altered_numbers(source.received_names)), _with_numbers_as_text(stripped)
        )
        parsed = F.try_parse_json(F.concat(F.lit("["), F.coalesce(exact, stripped), F.lit("]")))
        lines = text.filter(stripped != "").withColumns({"line": stripped, "parsed": parsed})
        is_object = F.col("line").startswith("{") & F.coalesce(
            F.try_variant_get("parsed", "$[1]", "variant").isNull() & F.col("parsed").isNotNull(),
            F.lit(False),
        )
        fields = [
            F.try_variant_get("parsed", f"$[0]['{received}']", "string").alias(name)
            for name, received in source.received_names.items()
        ]
        return lines.select(*fields, F.when(~is_object, F.col("line")).alias("malformed_text"), *origin())


def _with_numbers_as_text(line: Column) -> Column:
    """The line with each number in quotes, digit by digit as it stands: sound JSON only if the line is."""
    return F.regexp_replace(line, _TEXT_OR_NUMBER, '"$1$2"')


def _altered_numbers(received_names: Mapping[str, str]) -> str:
    """Pattern of lines that may hold a number which a variant alters.

    It takes a number with an exponent, or of more than 38 digits, as floating point, and lets go of the zeros
    at the end of a fraction, which tell one id from another. A key may also be written in escapes.
    """
    texts = [received_names[name] for name in names_of("text")]
    names = "|".join(f"\\Q{name}\\E" for name in texts)
    colon, digits = rf'"{_SPACE}*:{_SPACE}*-?', "[0-9]+[.]?[0-9]*"
    return rf'"(?:{names}){colon}(?:[0-9]+[.eE]|(?<=-)0)|{colon}(?:{digits}[eE]|[0-9.]{{39}})|\\u'
