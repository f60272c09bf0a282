"""JSON lines: one object a line, in UTF-8."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from pipeline.landing.formats.base import (
    PLAIN,
    FileStart,
    Form,
    HeadedFile,
    Header,
    Source,
    in_normal_form,
)
from pipeline.landing.formats.text_lines import first_line, headers_left_out, read_records
from pipeline.landing.records import BYTE_ORDER_MARK, Recipe, records
from pipeline.landing.unpack import UNREADABLE, printable
from pipeline.profiles import DeliveryProfile
from schemas.errors import AuditError
from schemas.landing import DROP_FOLDER_PREFIX, names_of, received_columns, received_names
from transforms.delivered import FieldForms, in_contract_form
from transforms.unicode import is_ascii

# Keys are looked for in lines of so many characters.
_READ_FOR_KEYS = 1 << 20
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


class JsonLines(Form):
    """One JSON object a line; a line without a key holds null there."""

    empty_file = "line"

    def __init__(
        self, profile: DeliveryProfile, received_names: Mapping[str, str], forms: FieldForms
    ) -> None:
        """Takes the profile, the names of its columns and the forms of its fields."""
        super().__init__(profile, received_names, forms)
        self.recipe = Recipe(encoding=profile.encoding, skip_first=profile.skip_first, has_header=False)

    def header(self, start: FileStart) -> Header:
        """Keys of the file's first lines; each column of the contract must be the key of a line.

        A line that is no object is a line, rejected by itself.
        """
        if first_line(start, self.recipe) is None:
            return Header()
        keys: dict[str, None] = {}
        objects = 0
        try:
            lines = (line for part in start.parts() for line in records(part, self.recipe))
            for line in _first(lines):
                content = _object_of(line)
                objects += content is not None
                keys |= dict.fromkeys(content or ())
            if objects:
                keys |= dict.fromkeys(
                    self._found_behind(lines, set(self.received_names.values()) - set(keys))
                )
        except UNREADABLE as error:
            raise AuditError(f"{start.where}: cannot be read: {printable(str(error))}") from None
        # Messages and tables cannot hold a lone surrogate: show its escape.
        names = tuple(name.encode("utf-8", "backslashreplace").decode() for name in keys)
        if objects:
            self.check_columns(start.where, names, held_by="its lines have")
        return Header(names or ("",))

    def _found_behind(self, lines: Iterator[str], missing: set[str]) -> set[str]:
        """Keys that lines behind the first hold: they are read on only while a key is missing."""
        left = set(missing)
        while left and (line := next(lines, None)) is not None:
            # A key may be written in escapes.
            if "\\u" in line or any(name in line for name in left):
                left -= set(_object_of(line) or ())
        return missing - left

    def lines(self, source: Source, files: Sequence[HeadedFile]) -> DataFrame:
        """Lines of files, whatever keys they have."""
        found = read_records(source, files, self.recipe, None, _holds_text)
        # Cut the mark off as a prefix: btrim would also remove single bytes of it.
        marked = F.col("value").startswith(BYTE_ORDER_MARK)
        value = F.when(marked, F.substring("value", 2, _MAX_CHARACTERS)).otherwise(F.col("value"))
        stripped = F.btrim(value, F.lit(_BLANK))
        # Brackets make a second object on the line an error; without them the parser ignores it.
        # A variant keeps the digits of most numbers; a JSON parse to text goes through floating point.
        exact = F.when(stripped.rlike(_altered_numbers(self.received_names)), _with_numbers_as_text(stripped))
        parsed = F.try_parse_json(F.concat(F.lit("["), F.coalesce(exact, stripped), F.lit("]")))
        lines = found.filter(stripped != "").withColumns({"line": stripped, "parsed": parsed})
        is_object = F.col("line").startswith("{") & F.coalesce(
            F.try_variant_get("parsed", "$[1]", "variant").isNull() & F.col("parsed").isNotNull(),
            F.lit(False),
        )
        malformed = F.when(~is_object | self._is_nested(), F.col("line")).alias("malformed_text")
        fields = [self._field(name).alias(name) for name in received_names()]
        # A character may also be written as an escape of ASCII characters.
        is_plain = (is_ascii(F.col("line")) & ~F.col("line").contains("\\u")).alias(PLAIN)
        read = self._observed(
            lines.select(*fields, malformed, "drop_date", "source_file", "parsed", is_plain)
        )
        return in_contract_form(in_normal_form(source, read.drop("parsed")), self.forms)

    def headers_left_out(self, files: Sequence[HeadedFile]) -> int | None:
        """None are left out, unless a file is read whole."""
        return headers_left_out(files, self.recipe)

    def _observed(self, read: DataFrame) -> DataFrame:
        """Counts the lines that lack an optional key, in the same pass: an update may rename it."""
        self.observation = Observation()
        folder = F.concat(F.lit(DROP_FOLDER_PREFIX), F.col("drop_date").cast("string"))
        file = F.concat_ws("/", folder, "source_file")
        metrics = []
        for name in self._optional():
            lacks = F.col("malformed_text").isNull() & F.col(name).isNull() & self._has_no_key(name)
            metrics += [
                F.count_if(lacks).alias(f"{name}_lines"),
                F.collect_set(F.when(lacks, file)).alias(f"{name}_files"),
            ]
        return read.observe(self.observation, *metrics) if metrics else read

    def notes_of_lines(self) -> list[str]:
        """Tells the optional keys that some lines lack; a missing required one rejects its line."""
        found = {} if self.observation is None else self.observation.get
        return [
            f"{found[f'{name}_lines']:,} lines of {', '.join(sorted(found[f'{name}_files'])[:3])} have no "
            f"key {self.received_names[name]!r} and are read without it"
            for name in self._optional()
            if found.get(f"{name}_lines")
        ]

    def _is_nested(self) -> Column:
        """boolean: whether a text of the contract is an object or an array: its JSON would be the text."""
        nested = F.lit(False)
        for name in names_of("text"):
            if name in self.received_names:
                kind = F.schema_of_variant(self._value(name, "variant"))
                nested = nested | F.coalesce(kind.rlike("^(?:OBJECT|ARRAY)"), F.lit(False))
        # Few lines hold a bracket behind a colon, and only those are looked at.
        return F.col("line").rlike(rf":{_SPACE}*+[\[{{]") & nested

    def _optional(self) -> list[str]:
        return [c.name for c in received_columns() if not c.required and c.name in self.received_names]

    def _has_no_key(self, name: str) -> Column:
        return self._value(name, "variant").isNull()

    def _field(self, name: str) -> Column:
        return self._value(name, "string") if name in self.received_names else F.lit(None).cast("string")

    def _value(self, name: str, kind: str) -> Column:
        return F.try_variant_get("parsed", f"$[0]['{self.received_names[name]}']", kind)


def _first(lines: Iterator[str]) -> Iterator[str]:
    """Lines of the first megabyte."""
    left = _READ_FOR_KEYS
    while left >= 0 and (line := next(lines, None)) is not None:
        left -= len(line)
        yield line


def _holds_text(value: Column) -> Column:
    return value != ""


def _object_of(line: str) -> dict[str, Any] | None:
    """The object that a line holds; None if it holds none."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and content else None


def _with_numbers_as_text(line: Column) -> Column:
    """The line with each number in quotes, digit by digit as it stands: sound JSON only if the line is."""
    return F.regexp_replace(line, _TEXT_OR_NUMBER, '"$1$2"')


def _altered_numbers(received_names: Mapping[str, str]) -> str:
    """Pattern of lines that may hold a number which a variant alters.

    It takes a number with an exponent, or of more than 38 digits, as floating point, and lets go of the zeros
    at the end of a fraction, which tell one id from another. A key may also be written in escapes.
    """
    texts = [received_names[name] for name in names_of("text") if name in received_names]
    names = "|".join(f"\\Q{name}\\E" for name in texts)
    colon, digits = rf'"{_SPACE}*:{_SPACE}*-?', "[0-9]+[.]?[0-9]*"
    return rf'"(?:{names}){colon}(?:[0-9]+[.eE]|(?<=-)0)|{colon}(?:{digits}[eE]|[0-9.]{{39}})|\\u'
