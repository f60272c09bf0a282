"""Delivery profiles: how the files of a sender differ from the contract's form, the default of each key.

The keys are documented in docs/reference/delivery-profiles.md. A profile is checked before Spark starts.
"""

from __future__ import annotations

import codecs
import fnmatch
import io
import itertools
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pipeline.config_group import ConfigGroup
from schemas.landing import received_columns, received_names

FormatName = Literal["csv", "jsonl", "parquet", "fixed_width"]
# A file may be compressed in each of these ways, whatever the letter case of its name.
COMPRESSIONS = (".gz", ".bz2", ".zst", ".zip")
# Endings of the contract's own forms, without a compression.
CONTRACT_ENDINGS: dict[str, FormatName] = {".csv": "csv", ".json": "jsonl", ".parquet": "parquet"}
_NAMED_DELIMITERS = {"tab": "\t", "pipe": "|", "comma": ",", "semicolon": ";"}
_NO_DELIMITER = "\r\n\"'\\"
_NO_COLUMN_NAME = "'\"\\"
# What Spark parses of Java's pattern letters, and how often each may stand in a row. It refuses others, some
# of them only when it reads the first line.
_TIMESTAMP_LETTERS = {
    "y": (4, 2, 1),
    "M": (1, 2, 3, 4),
    "d": (1, 2),
    "H": (1, 2),
    "h": (1, 2),
    "m": (1, 2),
    "s": (1, 2),
    "S": range(1, 10),
    "a": (1,),
    "X": range(1, 6),
    "x": range(1, 6),
    "Z": range(1, 6),
}
# Codecs of Python that are no charset: escapes, and encodings of domain names.
_NO_CHARSETS = frozenset(
    {"unicode-escape", "unicode_escape", "raw-unicode-escape", "raw_unicode_escape", "punycode"}
)
_OFFSETS = frozenset("XxZ")


def _delimiter(value: Any) -> Any:
    return _NAMED_DELIMITERS.get(value, value)


def _one_character(value: str) -> str:
    if len(value) != 1 or value in _NO_DELIMITER:
        raise ValueError("must be one character, or tab, and no quote, backslash or line end, such as ';'")
    return value


def _quote(value: Any) -> Any:
    return None if value == "none" else value


def _is_quote(value: str | None) -> str | None:
    if value is not None and (len(value) != 1 or value.isalnum() or value.isspace()):
        raise ValueError("must be one character, such as '\"', or none")
    return value


def _charset(name: str) -> str:
    try:
        codec = codecs.lookup(name)
        # The reader of a file that one task reads whole: it refuses codecs of bytes, such as base64.
        io.TextIOWrapper(io.BytesIO("a".encode(name)), encoding=name).read()
    except (LookupError, ValueError, TypeError):
        raise ValueError("must be a charset, such as utf-8, windows-1252, iso-8859-15 or utf-16") from None
    if codec.name in _NO_CHARSETS:
        raise ValueError(f"{name} is no charset of files; use utf-8, windows-1252, iso-8859-15 or utf-16")
    return codec.name


def _timestamp(pattern: str | None) -> str | None:
    if pattern is not None and not _is_readable(pattern):
        raise ValueError(
            'must be a pattern of year, month, day and hour, such as "dd.MM.yyyy HH:mm:ss" or '
            "\"yyyy-MM-dd'T'HH:mm:ssXXX\"; its letters are "
            f"{', '.join(_TIMESTAMP_LETTERS)}, h needs a, and other words stand in single quotes"
        )
    return pattern


def _is_readable(pattern: str) -> bool:
    bare = _unquoted(pattern)
    groups = [match.group() for match in re.finditer(r"([A-Za-z])\1*", bare)]
    letters = {group[0] for group in groups}
    is_of_letters = all(len(group) in _TIMESTAMP_LETTERS.get(group[0], ()) for group in groups)
    # A pattern letter that stands twice would have to agree with itself.
    is_once = len(letters) == len(groups)
    has_hour = ("H" in letters) != ("h" in letters) and ("h" in letters) == ("a" in letters)
    return is_of_letters and is_once and has_hour and {*"yMd"} <= letters and not set(bare) & set("'[]{}#")


def _unquoted(pattern: str) -> str:
    """The pattern without its words in single quotes."""
    return re.sub(r"'[^']*'", " ", pattern)


def _column_names(columns: dict[str, str]) -> dict[str, str]:
    for received in columns.values():
        if set(received) & set(_NO_COLUMN_NAME):
            raise ValueError(f"{received!r} contains a quote or a backslash; a column name must not")
    return columns


def _contract_columns(names: Any) -> None:
    known = received_names()
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no column of the contract; they are {', '.join(known)}")


def _by_column(values: dict[str, Any]) -> dict[str, Any]:
    _contract_columns(values)
    return values


def _constants(values: dict[str, str]) -> dict[str, str]:
    required = {column.name for column in received_columns() if column.required}
    empty = next((name for name, value in values.items() if not value.strip() and name in required), None)
    if empty is not None:
        raise ValueError(f"constants: {empty} is required: it must not be empty")
    return values


Delimiter = Annotated[str, BeforeValidator(_delimiter), AfterValidator(_one_character)]
Quote = Annotated[str | None, BeforeValidator(_quote), AfterValidator(_is_quote)]
Charset = Annotated[str, AfterValidator(_charset)]
Position = Annotated[int, Field(ge=1, le=100_000)]
Text = Annotated[str, Field(min_length=1)]


class RecordType(ConfigGroup):
    """Files whose lines begin with, or hold, the type of the record: header, data, trailer.

    Attributes:
        position: number of the field that holds the type, from 1; of fixed width, its first character.
        data: the type of the lines that are sales.
        trailer: the type of the line with counts and totals.
        skip: types of lines that are passed over, such as file headers.
        trailer_rows: number of the trailer's field with the number of data lines.
        trailer_gross: number of the trailer's field with the sum of gross_amount.
    """

    position: Position = 1
    data: Text
    trailer: Text | None = None
    skip: tuple[Text, ...] = ()
    trailer_rows: Position | None = None
    trailer_gross: Position | None = None

    @model_validator(mode="after")
    def _states_a_trailer(self) -> RecordType:
        if self.trailer is None and (self.trailer_rows or self.trailer_gross):
            raise ValueError("trailer_rows and trailer_gross need trailer, the type of the last line")
        kinds = [self.data, *([self.trailer] if self.trailer else []), *self.skip]
        twice = sorted({kind for kind in kinds if kinds.count(kind) > 1})
        if twice:
            raise ValueError(
                f"type {twice[0]!r} stands twice in data, trailer and skip; each is one kind of line"
            )
        return self


class DeliveryProfile(ConfigGroup):
    """How to read files whose names match a pattern. Its fields are the keys of a profile."""

    files: Text
    format: FormatName = "csv"
    delimiter: Delimiter = ","
    quote: Quote = '"'
    escape: Literal["doubled", "backslash"] = "doubled"
    encoding: Charset = "utf-8"
    header: bool | tuple[Text, ...] = True
    skip_first: Annotated[int, Field(ge=0, le=1000)] = 0
    multiline: bool = False
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ".", ",", " ", "'"] = ""
    timestamp: Annotated[str | None, AfterValidator(_timestamp)] = None
    local_time: bool = False
    ambiguous: Literal["reject", "earlier", "later"] = "reject"
    nulls: tuple[str, ...] | None = None
    values: Annotated[dict[str, dict[str, str]], AfterValidator(_by_column)] = Field(default_factory=dict)
    constants: Annotated[dict[str, str], AfterValidator(_by_column), AfterValidator(_constants)] = Field(
        default_factory=dict
    )
    columns: Annotated[dict[str, Text], AfterValidator(_by_column), AfterValidator(_column_names)] = Field(
        default_factory=dict
    )
    positions: Annotated[dict[str, tuple[Position, Position]], AfterValidator(_by_column)] = Field(
        default_factory=dict
    )
    sign: Literal["as_is", "by_line_type"] = "as_is"
    record_type: RecordType | None = None
    allow_float_amounts: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> DeliveryProfile:
        problem = (
            _delimiter_problem(self) or _time_problem(self) or _layout_problem(self) or _trailer_problem(self)
        )
        if problem:
            raise ValueError(problem)
        return self

    def matches(self, name: str) -> bool:
        """Whether the profile is for a file of this name; letter case does not count."""
        return matches_any(name, [self.files])

    def received_names(self, common: dict[str, str]) -> dict[str, str]:
        """Name under which each contract column is received; without columns that are constant.

        Args:
            common: names of the config key ``columns``, which the profile's own lie over.
        """
        return {
            name: self.columns.get(name, common.get(name, name))
            for name in received_names()
            if name not in self.constants
        }

    @property
    def pinned(self) -> dict[str, Any]:
        """The keys that differ from the contract's form, as plain values."""
        return self.model_dump(mode="json", exclude_defaults=True)


def matches_any(name: str, patterns: Sequence[str]) -> bool:
    """Whether a file name matches a pattern; letter case does not count."""
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def contract_profile(name: str) -> DeliveryProfile | None:
    """The contract's own form that the ending of a file's name stands for; None for any other ending."""
    stem = name.lower()
    for compression in COMPRESSIONS:
        stem = stem.removesuffix(compression)
        if stem != name.lower():
            break
    for ending, form in CONTRACT_ENDINGS.items():
        # Parquet compresses its own pages.
        if stem.endswith(ending) and (form != "parquet" or stem == name.lower()):
            return CONTRACT_PROFILES[form]
    return None


def _delimiter_problem(profile: DeliveryProfile) -> str | None:
    if profile.quote == profile.delimiter:
        return f"quote and delimiter are both {profile.quote!r}"
    if profile.thousands and profile.thousands == profile.decimal:
        return f"decimal and thousands are both {profile.decimal!r}"
    if profile.quote is None and profile.multiline:
        return "multiline needs a quote: without one a line end ends the record"
    if profile.sign == "by_line_type" and "line_type" in profile.constants:
        return "sign: by_line_type needs line_type from the file"
    return None


def _time_problem(profile: DeliveryProfile) -> str | None:
    if profile.timestamp is None:
        return None
    has_offset = bool(_OFFSETS & set(_unquoted(profile.timestamp)))
    if has_offset and profile.local_time:
        return "local_time: true is for times without an offset, and timestamp reads one (X, x or Z)"
    if not has_offset and not profile.local_time:
        return "timestamp has no offset (X, x or Z): give local_time: true, so that the store's zone decides"
    return None


def _layout_problem(profile: DeliveryProfile) -> str | None:
    if profile.format == "fixed_width":
        return _positions_problem(profile)
    if profile.positions:
        return "positions is for format: fixed_width"
    if profile.format in ("jsonl", "parquet") and (profile.record_type or profile.multiline):
        return f"record_type and multiline are not for format: {profile.format}"
    if profile.record_type is not None and not isinstance(profile.header, tuple):
        return "record_type needs header: the list of the column names of a data line"
    if profile.header is False:
        return "header must be true, or the list of the column names in order, for files without one"
    return None


def _positions_problem(profile: DeliveryProfile) -> str | None:
    for column in received_columns():
        given = column.name in profile.positions or column.name in profile.constants
        if column.required and not given:
            return f"positions lacks {column.name}: give [first, last], the characters from 1, or a constant"
    for name, (first, last) in profile.positions.items():
        if last < first:
            return f"positions of {name}: last character {last} is before the first, {first}"
    places = sorted((first, last, name) for name, (first, last) in profile.positions.items())
    for (_, last, before), (first, _, name) in itertools.pairwise(places):
        if first <= last:
            return f"positions of {before} and {name} overlap at character {first}"
    if profile.multiline or profile.header is not True or profile.columns:
        return (
            "header, columns and multiline are not for format: fixed_width; positions says where columns are"
        )
    return None


def _trailer_problem(profile: DeliveryProfile) -> str | None:
    record = profile.record_type
    if record is None:
        return None
    if profile.format == "fixed_width":
        return _fixed_record_problem(record)
    if record.trailer_gross and "currency" not in profile.constants:
        return "trailer_gross needs constants: {currency: CODE}: a total of several currencies means nothing"
    return None


def _fixed_record_problem(record: RecordType) -> str | None:
    if record.trailer_rows or record.trailer_gross:
        return "trailer_rows and trailer_gross count fields: they are for format: csv"
    kinds = (record.data, *([record.trailer] if record.trailer else []), *record.skip)
    if len({len(kind) for kind in kinds}) > 1:
        return "record_type of fixed width: data, trailer and skip must have the same number of characters"
    return None


CONTRACT_PROFILES: dict[FormatName, DeliveryProfile] = {
    form: DeliveryProfile(files="*", format=form) for form in CONTRACT_ENDINGS.values()
}
