"""A manifest is of its form, or refused in a message that can be told; no amount is anything but a number."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from pipeline.landing.manifest import NOT_OF_ITS_FORM, parse_manifest, read_manifest
from schemas.drops import Manifest, ManifestFile


def of_amount(text: str) -> bytes:
    return f'{{"files": [{{"name": "a.csv", "gross_amount": {{"USD": {text}}}}}]}}'.encode()


@pytest.mark.parametrize(
    "text",
    [
        '"NaN"', '"sNaN"', '"-sNaN12"', '"Infinity"', '"-inf"', "NaN", "Infinity", "-Infinity", "true",
        "null", "[1]", "{}", '""', '" 1"', '"1_0"', '"\u0661"', '"1,5"', '"1e999999999"', "1e999999999",
        "-1e999999999", "1e-999999999", "1e99999999999999999999", '"1e99999999999999999999"', "9" * 39,
        f'"{"9" * 5000}"', "9" * 5000,
    ],
)  # fmt: skip
def test_an_amount_that_is_no_finite_number_is_refused(text: str) -> None:
    with pytest.raises(NOT_OF_ITS_FORM):
        parse_manifest(of_amount(text))


@pytest.mark.parametrize(
    ("text", "amount"),
    [('"12.34"', "12.34"), ("12.34", "12.34"), ("-3", "-3"), ('"+0.5"', "0.5"), ("1e1", "10"),
     ("0.30000000000000004", "0.30000000000000004"), ('"00012.3400"', "12.34")],
)  # fmt: skip
def test_an_amount_keeps_its_digits(text: str, amount: str) -> None:
    (file,) = parse_manifest(of_amount(text)).files
    assert file.gross_amount == {"USD": Decimal(amount)}


@pytest.mark.parametrize(
    "content",
    [
        {"files": [{"name": "a.csv", "gross_amount": "12.34"}]},
        {"files": [{"name": "a.csv", "gross_amount": [["USD", "1"]]}]},
        {"files": [{"name": "a.csv", "gross_amount": {"usd": "1"}}]},
        {"files": [{"name": "a.csv", "gross_amount": {"US": "1"}}]},
        {"files": [{"name": "a.csv", "gross_amount": {"USD\n": "1"}}]},
        {"files": [{"name": "a.csv", "rows": True}]},
        {"files": [{"name": "a.csv", "rows": -1}]},
        {"files": [{"name": "a.csv", "rows": "1"}]},
        {"files": [{"name": "a.csv", "rows": 2**63}]},
        {"files": [{"name": ""}]},
        {"files": [{"name": 7}]},
        {"files": [{"name": "a/b.csv"}]},
        {"files": [{"name": "a\x00.csv"}]},
        {"files": [{"name": "a\ud800.csv"}]},
        {"files": ["a.csv"]},
        {"files": {"a.csv": 1}},
        {"files": None},
        {"closed": 1},
        {"\ud800": 1},
        [],
    ],
)
def test_what_is_not_of_its_form_is_refused_in_words_that_can_be_told(content: Any) -> None:
    with pytest.raises(NOT_OF_ITS_FORM) as raised:
        parse_manifest(json.dumps(content).encode())
    str(raised.value).encode("utf-8")


def test_what_a_manifest_does_not_state_it_does_not_state_in_a_commit() -> None:
    assert read_manifest({}) == Manifest()
    assert read_manifest({}).as_json() == {"closed": False}
    assert read_manifest({"files": []}).as_json() == {"closed": False, "files": []}
    whole = {"closed": False, "files": [{"name": "a b.csv", "rows": 0, "gross_amount": {"USD": "1.50"}}]}
    read = read_manifest(whole)
    assert read.as_json() == whole
    assert read.files == (ManifestFile("a b.csv", 0, {"USD": Decimal("1.50")}),)
    assert read_manifest(read.as_json()) == read
