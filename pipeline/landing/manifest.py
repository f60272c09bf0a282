"""The manifest of a drop: what its sender says of it. What is not of its form is refused, never guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from schemas.drops import Manifest, ManifestFile

MANIFEST_FORM = (
    '{"closed": false, "files": [{"name": "sales.csv", "rows": 2, "gross_amount": {"USD": "12.34"}}]}'
)
NOT_OF_ITS_FORM = (ValueError, KeyError, TypeError, AttributeError, InvalidOperation, RecursionError)
_MAX_ROWS = 2**63 - 1
# Bounded: no sum of amounts has more digits, and Decimal takes NaN, Infinity and any exponent.
_AMOUNT_FORM = re.compile(r"[+-]?[0-9]{1,38}(\.[0-9]{1,38})?([eE][+-]?[0-9]{1,2})?")
_CURRENCY_FORM = re.compile(r"[A-Z]{3}")
_NO_FILE_NAME = re.compile(r"[/\x00\ud800-\udfff]")
_SHOWN = 100


def parse_manifest(content: bytes) -> Manifest:
    """Reads the text of a manifest.

    Raises:
        NOT_OF_ITS_FORM: it is no JSON, or not of its form.
    """
    return read_manifest(json.loads(content, parse_float=Decimal, parse_constant=_refuse_constant))


def read_manifest(content: Any) -> Manifest:
    """Reads a manifest.

    Args:
        content: parsed JSON.

    Raises:
        ValueError, TypeError, KeyError: it is not of its form.
    """
    if not isinstance(content, dict):
        raise TypeError("it must be an object")
    unknown = sorted(set(content) - {"closed", "files"})
    if unknown:
        raise ValueError(f"unknown key {_shown(unknown[0])}")
    closed, files = content.get("closed", False), content.get("files", [])
    if not isinstance(closed, bool):
        raise TypeError("closed must be true or false")
    if not isinstance(files, list):
        raise TypeError("files must be a list")
    return Manifest(closed, tuple(_read_file(file) for file in files), lists_files="files" in content)


def _read_file(content: Any) -> ManifestFile:
    if not isinstance(content, dict):
        raise TypeError("each of files must be an object")
    rows, gross = content.get("rows"), content.get("gross_amount")
    rows = None if rows is None else _read_rows(rows)
    return ManifestFile(_read_name(content["name"]), rows, None if gross is None else _read_amounts(gross))


def _read_name(name: Any) -> str:
    if not isinstance(name, str) or not name or _NO_FILE_NAME.search(name):
        raise ValueError(f"name = {_shown(name)} must be the name of a file")
    return name


def _read_rows(rows: Any) -> int:
    if isinstance(rows, bool) or not isinstance(rows, int) or not 0 <= rows <= _MAX_ROWS:
        raise ValueError(f"rows = {_shown(rows)} must be an integer >= 0")
    return rows


def _read_amounts(gross: Any) -> dict[str, Decimal]:
    if not isinstance(gross, Mapping):
        raise TypeError(f"gross_amount = {_shown(gross)} must be an object of currency to amount")
    return {_read_currency(code): _read_amount(amount) for code, amount in gross.items()}


def _read_currency(code: str) -> str:
    if not _CURRENCY_FORM.fullmatch(code):
        raise ValueError(f"gross_amount: {_shown(code)} must be a currency of three capital letters")
    return code


def _read_amount(amount: Any) -> Decimal:
    is_number = isinstance(amount, str | int | Decimal) and not isinstance(amount, bool)
    if not is_number or not _AMOUNT_FORM.fullmatch(str(amount)):
        raise ValueError(f'gross_amount: {_shown(amount)} must be a finite number, as "12.34"')
    return Decimal(str(amount))


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _shown(value: Any) -> str:
    """A value for a message that any terminal and table takes: a lone surrogate is told by its escape."""
    text = repr(str(value) if isinstance(value, Decimal) else value)[:_SHOWN]
    return text.encode("utf-8", "backslashreplace").decode()
