"""The shop's rules as plain values, shared by the hand-written contenders."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from schemas.landing import RECEIVED_COLUMNS, RECEIVED_NAMES

CURRENCY_SCALES = {"USD": 2, "JPY": 0, "KWD": 3}
LARGEST_SCALE = 3
CHUNKS = {"A-G": "ABCDEFG", "H-N": "HIJKLMN", "O-U": "OPQRSTU", "V-Z": "VWXYZ"}
TIME_ZONE = "America/New_York"
LATE_DAYS = 7
FIRST_REVISION = 1

WHITESPACE = " \t\r\n\f\v\u00a0"
UNDECODABLE = "\ufffd"
INTEGER_FORM = r"^[0-9]+$"
QUANTITY_FORM = r"^[+-]?[0-9]{1,9}(\.[0-9]+)?$"
AMOUNT_FORM = r"^[+-]?[0-9]{1,15}(\.[0-9]+)?$"
CURRENCY_FORM = r"^[A-Z]{3}$"
TIME_FORM = r"^[12]\d{3}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)$"

REQUIRED = tuple(column.name for column in RECEIVED_COLUMNS if column.required)
TEXTS = tuple(column.name for column in RECEIVED_COLUMNS if column.kind == "text")
AMOUNTS = ("gross_amount", "discount_amount")
KEY = ("store_id", "transaction_id", "line_number", "sale_date")
COLUMNS = RECEIVED_NAMES

SUMS = ("units", "gross_amount", "discount_amount", "net_amount", "returns_amount")


def landed_files(landing: str) -> list[str]:
    """Paths of every landed CSV file, in order."""
    return sorted(str(path) for path in Path(landing).glob("drop_date=*/*.csv"))


def chunk_by_initial() -> dict[str, str]:
    """The chunk of every first character that stands for a letter from A to Z, also with accents."""
    chunk_of = {letter: chunk for chunk, letters in CHUNKS.items() for letter in letters}
    chunk_by_character = {}
    for character in map(chr, range(0x20000)):
        bare = [c for c in unicodedata.normalize("NFKD", character) if unicodedata.category(c) != "Mn"]
        letter = bare[0].upper() if bare else ""
        if letter in chunk_of:
            chunk_by_character[character] = chunk_of[letter]
    return chunk_by_character
