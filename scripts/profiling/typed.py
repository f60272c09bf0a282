"""Types the first rows of a file by its proposed profile, for a person to compare: plain Python, no Spark."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.landing import RECEIVED_COLUMNS, RETURN, ReceivedColumn
from scripts.profiling.sniff import Found
from transforms.delivered import decimal_form, without_separators

_NOT_VALID = "not valid"
_DIRECTIVES = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}


def typed_row(found: Found, row: Sequence[str]) -> list[str]:
    """A row, one line each field: received name, text, contract column and value as it would be typed."""
    keys: Mapping[str, Any] = found.keys
    places = {column: f"{first}-{last}" for column, (first, last) in keys.get("positions", {}).items()}
    names = {keys.get("columns", {}).get(c.name, places.get(c.name, c.name)): c for c in RECEIVED_COLUMNS}
    fields = dict(zip(found.names, row, strict=False))
    kinds = [text for name, text in fields.items() if name in names and names[name].name == "line_type"]
    is_return = any(_mapped(keys, "line_type", text) == RETURN for text in kinds)
    return [
        f"{name}: {text!r}"
        + (f" -> {names[name].name} {_typed(keys, names[name], text, is_return)}" if name in names else "")
        for name, text in fields.items()
    ]


def _mapped(keys: Mapping[str, Any], column: str, text: str) -> str:
    bare = text.strip()
    return str(keys.get("values", {}).get(column, {}).get(bare, bare))


def _typed(keys: Mapping[str, Any], column: ReceivedColumn, text: str, is_return: bool) -> str:
    value = _mapped(keys, column.name, text)
    if not value or value in keys.get("nulls", ()):
        return f"{_NOT_VALID}: it is empty" if column.required else "nothing"
    if column.kind in ("quantity", "amount"):
        number = _number(keys, value)
        is_signed = keys.get("sign") == "by_line_type" and is_return and not number.startswith("-")
        return f"-{number}" if is_signed and number != _NOT_VALID else number
    if column.kind == "timestamp":
        return _moment(keys, value)
    return value


def _number(keys: Mapping[str, Any], value: str) -> str:
    decimal, thousands = keys.get("decimal", "."), keys.get("thousands", "")
    if not re.fullmatch(decimal_form(decimal, thousands), value, re.ASCII):
        return _NOT_VALID
    return without_separators(value, decimal, thousands)


def _moment(keys: Mapping[str, Any], value: str) -> str:
    pattern = keys.get("timestamp")
    try:
        if pattern is None:
            moment = dt.datetime.fromisoformat(value)
        else:
            form = re.sub(r"([A-Za-z])\1*", lambda match: _DIRECTIVES[match.group()], pattern)
            moment = dt.datetime.strptime(value, form)  # noqa: DTZ007 the store's time zone is not known here
    except (ValueError, KeyError):
        return _NOT_VALID
    if moment.tzinfo is not None:
        return moment.astimezone(dt.UTC).isoformat(sep=" ")
    return f"{moment.isoformat(sep=' ')} on the store's clock" if keys.get("local_time") else _NOT_VALID
