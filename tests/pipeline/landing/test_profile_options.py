"""Each key of a delivery profile, on hand-made bytes, edges first: the contract's text that comes of it."""

from __future__ import annotations

import bz2
import gzip
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError
from pyspark.sql import SparkSession

from pipeline.lake.evaluation import evaluation_for
from pipeline.landing.config import LandingConfig
from pipeline.landing.landing import Landing
from pipeline.profiles import DeliveryProfile, contract_profile
from schemas.errors import AuditError, NotReadyError
from schemas.landing import RECEIVED_NAMES
from tests.support.landing import drop_folder, write_bytes
from tests.support.lines import DROP_DATE

NAMES = ("store_id", "transaction_id", "line_type", "sold_at", "quantity", "gross_amount", "product_name")
OTHERS = {"line_number": "1", "product_id": "P", "currency": "EUR"}
OPTIONAL = {
    "customer_id": "-",
    "category": "-",
    "discount_amount": "0",
    "payment_method": "-",
    "channel": "-",
}
CONSTANTS = {**OTHERS, **OPTIONAL}
HEADER = ",".join(NAMES)
MALFORMED = "malformed"


@dataclass(frozen=True)
class Case:
    """Bytes of a file, its profile, and what is read: a field by column, or malformed; one entry a line."""

    content: bytes
    profile: dict[str, Any]
    wanted: list[dict[str, str | None] | str]


def csv_case(line: str, wanted: Any, delimiter: str = ",", **profile: Any) -> Case:
    """One line under a header."""
    text = f"{HEADER.replace(',', delimiter)}\n{line}\n"
    given = {"delimiter": delimiter, **profile}
    return Case(text.encode(profile.get("encoding", "utf-8")), given, [wanted])


def amount(text: str, wanted: str | None, **profile: Any) -> Case:
    return csv_case(f"S|T|SALE|-|1|{text}|x", {"gross_amount": wanted}, "|", **profile)


def moment(text: str, wanted: str | None, **profile: Any) -> Case:
    return csv_case(f"S|T|SALE|{text}|1|1|x", {"sold_at": wanted}, "|", **profile)


def named(field: str, wanted: str, **profile: Any) -> Case:
    found = MALFORMED if wanted == MALFORMED else {"product_name": wanted, "gross_amount": "1"}
    return csv_case(f"S,T,SALE,-,1,1,{field}", found, **profile)


COMMA = {"decimal": ",", "thousands": "."}
GERMAN_TIME = {"timestamp": "dd.MM.yyyy HH:mm:ss"}
LOCAL = {**GERMAN_TIME, "local_time": True}
UTC = ".000000Z"
CASES: dict[str, Case] = {
    "semicolon": csv_case("S;T;SALE;-;1;1;a,b", {"product_name": "a,b"}, ";"),
    "pipe": csv_case("S|T|SALE|-|1|1|a,b", {"product_name": "a,b"}, "|"),
    "tab, and an empty field": csv_case(
        "S\tT\tSALE\t-\t1\t\tx", {"gross_amount": None, "product_name": "x"}, "\t"
    ),
    "an invisible mark in other quotes": named("'C-1\u200b'", "C-1", quote="'"),
    "a mark before a quote that is text": named("C\u200b'", "C\u200b'"),
    "a question mark that normal form C makes a delimiter": csv_case(
        "S;T;SALE;-;1;1;Re\u0301\u037e", {"product_name": "R\u00e9\u037e", "gross_amount": "1"}, ";"
    ),
    "no quote: a quote is text": named('"a', '"a', quote="none"),
    "other quote": named("'a, it''s'", "a, it's", quote="'"),
    "other quote, open": named("'a", MALFORMED, quote="'"),
    "backslash": named('"say \\"hi\\", a mug"', 'say "hi", a mug', escape="backslash"),
    "backslash at the end": named('"C:\\\\"', "C:\\", escape="backslash"),
    "backslash escapes the last quote": named('"a\\"', MALFORMED, escape="backslash"),
    "doubled quotes under backslash": named('"a""b"', MALFORMED, escape="backslash"),
    "windows-1252": named("\u20ac Caf\u00e9", "\u20ac Caf\u00e9", encoding="windows-1252"),
    "iso-8859-15": named("\u20ac", "\u20ac", encoding="iso-8859-15"),
    "cp850": named("\u00fc", "\u00fc", encoding="cp850"),
    "utf-16": named("\u4e2d", "\u4e2d", encoding="utf-16"),
    "shift_jis": named("\u8868", "\u8868", encoding="shift_jis"),
    "a byte that windows-1252 has not": Case(
        f"{HEADER}\nS,T,SALE,-,1,1,a".encode() + b"\x81\n",
        {"encoding": "windows-1252"},
        [{"product_name": "a\ufffd"}],
    ),
    "skipped lines": Case(
        f"sep=,\nsales,of\n{HEADER}\nS,T,SALE,-,1,2,x\n".encode(), {"skip_first": 2}, [{"gross_amount": "2"}]
    ),
    "no header": Case(b"S,T,SALE,-,1,2,x\n", {"header": NAMES}, [{"gross_amount": "2", "store_id": "S"}]),
    "no header, behind a byte order mark": Case(
        b"\xef\xbb\xbfS,T,SALE,-,1,2,x\n", {"header": NAMES, "quote": "none"}, [{"store_id": "S"}]
    ),
    "fixed width, behind a byte order mark": Case(
        b"\xef\xbb\xbfSTSALE125\n",
        {
            "format": "fixed_width",
            "positions": {
                "store_id": [1, 1],
                "transaction_id": [2, 2],
                "line_type": [3, 6],
                "gross_amount": [7, 9],
            },
            "constants": {**CONSTANTS, "sold_at": "-", "quantity": "1", "product_name": "-"},
        },
        [{"store_id": "S", "transaction_id": "T", "line_type": "SALE", "gross_amount": "125"}],
    ),
    "a line end in a field": Case(
        f'{HEADER}\nS,T,SALE,-,1,1,"a\r\nb ""c"", d"\nS,U,SALE,-,1,2,"x"\n'.encode(),
        {"multiline": True},
        [{"product_name": 'a\nb "c", d', "gross_amount": "1"}, {"product_name": "x", "gross_amount": "2"}],
    ),
    "a quote that never closes": Case(
        f'{HEADER}\nS,T,SALE,-,1,1,"a\nS,U,SALE,-,1,2,x\n'.encode(),
        {"multiline": True},
        [MALFORMED, {"gross_amount": "2"}],
    ),
    "too few fields": csv_case("S,T,SALE", MALFORMED),
    "too many fields": csv_case("S,T,SALE,-,1,1,x,y", MALFORMED),
    "decimal comma": amount("1.234,56", "1234.56", **COMMA),
    "no thousands": amount("1234,56", "1234.56", **COMMA),
    "a sign": amount("-1.234.567,8", "-1234567.8", **COMMA),
    "whole": amount("12", "12", **COMMA),
    "a half, where a point parts thousands": amount("0.500", "0.500 (decimal: ,)", **COMMA),
    "mixed": amount("1,234.56", "1,234.56 (decimal: ,)", **COMMA),
    "a point where it is a comma": amount("12.34", "12.34 (decimal: ,)", **COMMA),
    "groups of two": amount("12.34,5", "12.34,5 (decimal: ,)", **COMMA),
    "no thousands allowed": amount("1.234,5", "1.234,5 (decimal: ,)", decimal=","),
    "no-break blanks": amount("1\u00a0234\u202f567,80", "1234567.80", decimal=",", thousands=" "),
    "comma": amount("1,234.50", "1234.50", thousands=","),
    "apostrophe": amount("1'234.50", "1234.50", thousands="'"),
    "nothing": amount("", None, **COMMA),
    "a local time in summer": moment("02.07.2026 09:30:00", f"2026-07-02T07:30:00{UTC}", **LOCAL),
    "a local time in winter": moment("02.01.2026 09:30:00", f"2026-01-02T08:30:00{UTC}", **LOCAL),
    "a skipped hour": moment(
        "29.03.2026 02:30:00", "29.03.2026 02:30:00 (timestamp: dd.MM.yyyy HH:mm:ss)", **LOCAL
    ),
    "a repeated hour": moment(
        "25.10.2026 02:30:00", "25.10.2026 02:30:00 (timestamp: dd.MM.yyyy HH:mm:ss)", **LOCAL
    ),
    "the earlier": moment("25.10.2026 02:30:00", f"2026-10-25T00:30:00{UTC}", **LOCAL, ambiguous="earlier"),
    "the later": moment("25.10.2026 02:30:00", f"2026-10-25T01:30:00{UTC}", **LOCAL, ambiguous="later"),
    "midnight by a clock of twelve hours": moment(
        "07/02/2026 12:30 AM", f"2026-07-01T22:30:00{UTC}", timestamp="MM/dd/yyyy hh:mm a", local_time=True
    ),
    "noon by a clock of twelve hours": moment(
        "07/02/2026 12:30 PM", f"2026-07-02T10:30:00{UTC}", timestamp="MM/dd/yyyy hh:mm a", local_time=True
    ),
    "a year of two digits, and milliseconds": moment(
        "02.07.26 09:30:00.125",
        "2026-07-02T07:30:00.125000Z",
        timestamp="dd.MM.yy HH:mm:ss.SSS",
        local_time=True,
    ),
    "a store elsewhere": Case(
        f"{HEADER}\nNY,T,SALE,02.07.2026 09:30:00,1,1,x\n".encode(),
        LOCAL,
        [{"sold_at": f"2026-07-02T13:30:00{UTC}"}],
    ),
    "no such day": moment(
        "31.02.2026 09:30:00", "31.02.2026 09:30:00 (timestamp: dd.MM.yyyy HH:mm:ss)", **LOCAL
    ),
    "an offset in the pattern": moment(
        "20260702 093000+0200", f"2026-07-02T07:30:00{UTC}", timestamp="yyyyMMdd HHmmssxx"
    ),
    "ISO without an offset": moment("2026-07-02T09:30", f"2026-07-02T07:30:00{UTC}", local_time=True),
    "ISO with one": moment("2026-07-02T09:30:00Z", "2026-07-02T09:30:00Z", local_time=True),
    "a word for nothing": csv_case(
        "S,T,SALE,-,1,NULL,n/a", {"gross_amount": None, "product_name": None}, nulls=["NULL", "n/a"]
    ),
    "no word for nothing": csv_case("S,T,SALE,-,1,1,NULL", {"product_name": "NULL"}, nulls=[]),
    "a value between blanks": csv_case(
        "S,T, V ,-,1,1,x", {"line_type": "SALE"}, values={"line_type": {"V": "SALE"}}
    ),
    "values": csv_case(
        "S,T,V,-,1,1,",
        {"line_type": "SALE", "product_name": "none"},
        values={"line_type": {"V": "SALE"}, "product_name": {"": "none"}},
    ),
    "a value that is not mapped": csv_case(
        "S,T,X,-,1,1,x", {"line_type": "X"}, values={"line_type": {"V": "SALE"}}
    ),
    "returns without a sign": csv_case(
        "S,T,RETURN,-,1.5,+2.00,x", {"quantity": "-1.5", "gross_amount": "-2.00"}, sign="by_line_type"
    ),
    "a discount without a sign": Case(
        f"{HEADER},discount_amount\nS,T,RETURN,-,1,2,x,0.50\nS,U,RETURN,-,1,2,x,\n".encode(),
        {"sign": "by_line_type", "constants": {k: v for k, v in CONSTANTS.items() if k != "discount_amount"}},
        [{"gross_amount": "-2", "discount_amount": "-0.50"}, {"discount_amount": None}],
    ),
    "sales keep theirs": csv_case(
        "S,T,SALE,-,1,2,x", {"quantity": "1", "gross_amount": "2"}, sign="by_line_type"
    ),
    "a return with its sign": csv_case("S,T,RETURN,-,-1,-2,x", {"quantity": "-1"}, sign="by_line_type"),
    "columns": Case(
        HEADER.replace("store_id", "Laden").encode() + b"\nS,T,SALE,-,1,1,x\n",
        {"columns": {"store_id": "Laden"}},
        [{"store_id": "S"}],
    ),
    "constants": csv_case(
        "S,T,SALE,-,1,1,x",
        {"channel": "store", "customer_id": None, "currency": "EUR"},
        constants={**CONSTANTS, "channel": "store", "customer_id": ""},
    ),
    "record types of fixed width": Case(
        b"HD till 7\nDTS T SALE  12\nXXS U SALE  12\nTR 1\n",
        {
            "format": "fixed_width",
            "positions": {
                "store_id": [3, 4],
                "transaction_id": [5, 6],
                "line_type": [7, 10],
                "gross_amount": [11, 14],
            },
            "constants": {**CONSTANTS, "sold_at": "-", "quantity": "1", "product_name": "-"},
            "record_type": {"data": "DT", "trailer": "TR", "skip": ["HD"]},
        },
        [{"store_id": "S ", "line_type": "SALE", "gross_amount": "  12"}, MALFORMED],
    ),
    "record types": Case(
        b"H,7\nD,S,T,SALE,-,1,1,x\nX,S,T,SALE,-,1,1,x\nT,1\n",
        {"header": ["type", *NAMES], "record_type": {"data": "D", "trailer": "T", "skip": ["H"]}},
        [{"store_id": "S"}, MALFORMED],
    ),
    "record types behind a quoted delimiter": Case(
        b'"Shirt;T";D;S;T\n"Shirt;XL";D;S;U\n"a ""b"";H";T;1;2\nSocks;D;S;V\n"Shirt;D;S;W\n',
        {
            "delimiter": ";",
            "header": ["product_name", "type", "store_id", "transaction_id"],
            "constants": {
                **CONSTANTS,
                "line_type": "SALE",
                "sold_at": "-",
                "quantity": "1",
                "gross_amount": "1",
            },
            "record_type": {"position": 2, "data": "D", "trailer": "T", "skip": ["H", "XL"]},
        },
        [
            {"product_name": "Shirt;T", "transaction_id": "T"},
            {"product_name": "Shirt;XL", "transaction_id": "U"},
            {"product_name": "Socks", "transaction_id": "V"},
            MALFORMED,
        ],
    ),
    "fixed width, an accent as a character of its own": Case(
        "S T SALE Cafe\u0301 12,5\nS U SALE Caf\u00e9  12,5\nS V SALE \u200bCaf\u00e9 12,5\n".encode(),
        {
            "format": "fixed_width",
            "decimal": ",",
            "positions": {
                "store_id": [1, 2],
                "transaction_id": [3, 4],
                "line_type": [5, 9],
                "product_name": [10, 15],
                "gross_amount": [16, 19],
            },
            "constants": {**CONSTANTS, "sold_at": "-", "quantity": "1"},
        },
        [
            {"gross_amount": "12.5", "product_name": "Caf\u00e9"},
            # Blanks go where the lines are validated, as those of ASCII texts do.
            {"gross_amount": "12.5", "product_name": "Caf\u00e9  "},
            {"gross_amount": "12.5", "product_name": "Caf\u00e9"},
        ],
    ),
    "JSON, an accent and a mark in escapes": Case(
        b'{"store_id": "S", "transaction_id": "Rene\\u0301", "line_type": "SALE", "sold_at": "-",'
        b' "quantity": 1, "gross_amount": 1, "product_name": "\\u200eRen\\u00e9\\u200b"}\n',
        {"format": "jsonl"},
        [{"transaction_id": "Ren\u00e9", "product_name": "Ren\u00e9", "gross_amount": "1"}],
    ),
    "JSON, objects and arrays where a text belongs": Case(
        b"".join(
            b'{"store_id": "S", "transaction_id": "T", "line_type": "SALE", "sold_at": "-", "quantity": 1,'
            b' "gross_amount": 1, "more": {"product_name": ["x"]}, "product_name":' + name + b"}\n"
            for name in (b'{"de": "Tee"}', b' ["Tee"]', b'"[\\"product_name\\": {]"', b"{}", b"null", b"true")
        ),
        {"format": "jsonl"},
        [
            MALFORMED,
            MALFORMED,
            {"product_name": '["product_name": {]', "gross_amount": "1"},
            MALFORMED,
            {"product_name": None},
            {"product_name": "true"},
        ],
    ),
    "fixed width": Case(
        b"S T SALE  12,5x\nS U SALE  1\n",
        {
            "format": "fixed_width",
            "decimal": ",",
            "positions": {
                "store_id": [1, 2],
                "transaction_id": [3, 4],
                "line_type": [5, 10],
                "gross_amount": [11, 14],
                "product_name": [15, 20],
            },
            "constants": {**CONSTANTS, "sold_at": "-", "quantity": "1"},
        },
        [{"gross_amount": "12.5", "product_name": "x", "line_type": "SALE  "}, MALFORMED],
    ),
}


def _profile(number: int, case: Case) -> DeliveryProfile:
    return DeliveryProfile(**{"constants": CONSTANTS, **case.profile, "files": f"{number}.txt"})


@pytest.fixture(scope="module")
def read(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    root = tmp_path_factory.mktemp("landing")
    for number, case in enumerate(CASES.values()):
        (drop_folder(root, DROP_DATE) / f"{number}.txt").write_bytes(case.content)
    config = LandingConfig(
        profiles=tuple(_profile(number, case) for number, case in enumerate(CASES.values())),
        is_normalized=True,
        time_zone="Europe/Berlin",
        store_time_zones={"NY": "America/New_York"},
    )
    landing = Landing(spark, str(root), config)
    (drop,) = landing.drops(None, None)
    with evaluation_for(spark, len(CASES)):
        rows = landing.lines({drop: landing.headers(drop)}).collect()
    found: dict[str, list[Any]] = {name: [] for name in CASES}
    for row in rows:
        found[list(CASES)[int(row.source_file.partition(".")[0])]].append(row.asDict())
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_key_does_what_it_says(read: dict[str, list[Any]], name: str) -> None:
    wanted, found = CASES[name].wanted, read[name]
    assert len(found) == len(wanted), found
    for row, fields in zip(found, wanted, strict=True):
        if isinstance(fields, str):
            assert row["malformed_text"] is not None, row
        else:
            assert row["malformed_text"] is None, row
            assert {column: row[column] for column in fields} == fields


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "delimiter": ({"delimiter": ";;"}, "one character, or tab"),
    "encoding": ({"encoding": "klingon"}, "must be a charset, such as utf-8"),
    "timestamp": ({"timestamp": "DD/QQ"}, "must be a pattern"),
    "columns": ({"columns": {"shop": "x"}}, "'shop' is no column of the contract"),
    "an empty constant": ({"constants": {"currency": ""}}, "constants: currency is required"),
    "no name": ({"header": False}, "header must be true, or the list"),
    "same marks": ({"decimal": ",", "thousands": ","}, "decimal and thousands are both ','"),
    "quote": ({"quote": "|", "delimiter": "|"}, "quote and delimiter are both '|'"),
    "positions": (
        {"format": "fixed_width", "positions": {"store_id": [1, 2]}},
        "positions lacks transaction_id",
    ),
    "trailer": ({"header": ["a"], "record_type": {"data": "D", "trailer_rows": 1}}, "need trailer"),
    "totals": (
        {"header": ["a"], "record_type": {"data": "D", "trailer": "T", "trailer_gross": 1}},
        "trailer_gross needs constants: {currency: CODE}",
    ),
    "no offset": ({"timestamp": "dd.MM.yyyy HH:mm"}, "timestamp has no offset"),
    "an offset twice": (
        {"timestamp": "dd.MM.yyyy HH:mm:ssXXX", "local_time": True},
        "local_time: true is for times without an offset",
    ),
    "overlap": (
        {
            "format": "fixed_width",
            "positions": {name: [2 * n + 1, 2 * n + 2 + (n == 4)] for n, name in enumerate(RECEIVED_NAMES)},
        },
        "positions of customer_id and product_id overlap at character 11",
    ),
    "quote in a name": ({"columns": {"customer_id": "client's"}}, "contains a quote or a backslash"),
    "one type twice": (
        {"header": ["a"], "record_type": {"data": "D", "trailer": "D"}},
        "type 'D' stands twice in data, trailer and skip",
    ),
    "unknown": ({"delimeter": ";"}, "Extra inputs are not permitted"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_is_refused_with_the_valid_form(name: str) -> None:
    keys, message = BAD[name]
    with pytest.raises(ValidationError, match=message.replace("{", r"\{").replace("}", r"\}")):
        DeliveryProfile(files="*", **keys)


@pytest.mark.parametrize(
    "pattern",
    [
        "EEE dd.MM.yyyy HH:mm:ss",
        "dd.MM.uuuu HH:mm:ss",
        "dd.MM.YYYY HH:mm:ss",
        "dd.MM.yyyy HH:mm:sssss",
        "dd.LL.yyyy HH:mm",
        "dd.MM.yyyy HH:mm VV",
        "dd.MM.yyyy 'at",
        "dd.MM.yyyy hh:mm:ss",
        "dd.MM.yyyy [HH:mm]",
        "dd.MM. HH:mm",
        "dd.MM.yyyy dd HH:mm",
    ],
)
def test_a_pattern_that_spark_cannot_parse_by_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError, match="must be a pattern of year"):
        DeliveryProfile(files="*", timestamp=pattern, local_time=True)


@pytest.mark.parametrize(
    "encoding", ["base64", "rot13", "hex", "bz2", "unicode_escape", "punycode", "undefined"]
)
def test_a_codec_that_is_no_charset_is_refused(encoding: str) -> None:
    with pytest.raises(ValidationError, match=r"must be a charset|is no charset"):
        DeliveryProfile(files="*", encoding=encoding)


def test_the_first_profile_that_matches_wins_and_letter_case_does_not_count() -> None:
    first, second = DeliveryProfile(files="a*.txt"), DeliveryProfile(files="*.TXT")
    config = LandingConfig(profiles=(first, second), ignore=("*.md",))
    assert config.profile_of("A7.TXT") is first
    assert config.profile_of("b.txt") is second
    assert config.profile_of("b.csv") is contract_profile("b.csv")
    assert config.profile_of("b.doc") is None
    assert config.is_ignored("README.MD")
    assert not LandingConfig(ignore=("*.json",)).is_ignored("manifest.json")


def test_a_profiles_columns_and_nulls_lie_over_the_configs(
    spark: SparkSession, interpreted: None, tmp_path: Path
) -> None:
    names = {"store_id": "Laden", "customer_id": "Kunde"}
    for file, store, nothing in (("own.csv", "Filiale", "-"), ("other.csv", "Laden", "NULL")):
        header = ",".join({**names, "store_id": store}.get(name, name) for name in RECEIVED_NAMES)
        row = ",".join({"store_id": "S", "customer_id": nothing}.get(name, "NULL") for name in RECEIVED_NAMES)
        write_bytes(tmp_path, DROP_DATE, file, f"{header}\n{row}\n".encode())
    own = DeliveryProfile(files="own*", columns={"store_id": "Filiale"}, nulls=("-",))
    landing = Landing(spark, str(tmp_path), LandingConfig(names, profiles=(own,), nulls=("NULL",)))
    (drop,) = landing.drops(None, None)
    rows = landing.lines({drop: landing.headers(drop)}).collect()
    found = {row.source_file: (row.store_id, row.customer_id, row.channel) for row in rows}
    assert found == {"own.csv": ("S", None, "NULL"), "other.csv": ("S", None, None)}


RECORDS = DeliveryProfile(
    files="*.dat",
    delimiter="|",
    decimal=",",
    header=("type", *NAMES),
    constants=CONSTANTS,
    record_type={"data": "D", "trailer": "T", "trailer_rows": 2, "trailer_gross": 3},  # type: ignore[arg-type]
)


def _trailer_of(
    spark: SparkSession, root: Path, content: str | bytes, name: str = "a.dat", **keys: Any
) -> Any:
    packed = content.encode() if isinstance(content, str) else content
    write_bytes(root, DROP_DATE, name, packed)
    profile = RECORDS.model_copy(update=keys)
    landing = Landing(spark, str(root), LandingConfig(profiles=(profile,)))
    (drop,) = landing.drops(None, None)
    manifest = landing.with_trailers(drop).manifest
    assert manifest is not None
    return manifest.files[0].as_json()


def test_a_trailer_says_what_a_manifest_says(spark: SparkSession, tmp_path: Path) -> None:
    many = "".join(f"D|S|{n}|SALE|-|1|1,00|x\n" for n in range(5000))
    found = _trailer_of(spark, tmp_path, f"{many}T|0005000|5000,00\n")
    assert found == {"name": "a.dat", "rows": 5000, "gross_amount": {"EUR": "5000.00"}}


def test_a_file_without_its_trailer_waits_and_a_bad_one_fails(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="has no trailer record 'T': it may be cut off"):
        _trailer_of(spark, tmp_path, "D|S|1|SALE|-|1|1,00|x\n")
    with pytest.raises(AuditError, match="field 2 of its trailer is 'x', must be a number of lines"):
        _trailer_of(spark, tmp_path, "T|x|1,00\n")


def test_a_trailer_is_no_blank_line(spark: SparkSession, interpreted: None, tmp_path: Path) -> None:
    write_bytes(tmp_path, DROP_DATE, "a.dat", b"D|S|1|SALE|-|1|1,00|x\n| | |||||\nT|1|1,00\n")
    landing = Landing(spark, str(tmp_path), LandingConfig(profiles=(RECORDS,)))
    (drop,) = landing.drops(None, None)
    assert [left_out.blank for left_out in landing.count_left_out({drop: landing.headers(drop)})] == [1]


def test_a_trailer_is_read_as_its_lines_are(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"field 3 of its trailer is '9\.90', no amount"):
        _trailer_of(spark, tmp_path, "T|1|9.90\n", thousands=".")
    found = _trailer_of(spark, tmp_path, "T|1|1.990,50\n", thousands=".")
    assert found["gross_amount"] == {"EUR": "1990.50"}
    found = _trailer_of(spark, tmp_path, 'D|S|"a|T"\n"T"|"1"|2,00\n')
    assert (found["rows"], found["gross_amount"]) == (1, {"EUR": "2.00"})


@pytest.mark.parametrize("name", ["a.dat", "a.dat.gz"])
def test_a_trailer_is_found_behind_a_cut_line_and_before_another_record(
    spark: SparkSession, tmp_path: Path, name: str
) -> None:
    # The tail of 64 KB begins within the first line, at what looks like a trailer.
    end = f"D|{'x' * 60_000}\nT|2|2,00\nE|end\n"
    cut = f"T|7|{'y' * ((1 << 16) - len(end) - 5)}\n"
    assert len(cut + end) == 1 << 16
    found = _trailer_of(spark, tmp_path, f"D|Shirt {cut}{end}", name, files="a.*")
    assert (found["rows"], found["gross_amount"]) == (2, {"EUR": "2.00"})


@pytest.mark.parametrize("order", ["be", "le"])
def test_a_trailer_of_a_long_file_is_read_by_the_byte_order_of_its_start(
    spark: SparkSession, tmp_path: Path, order: str
) -> None:
    mark = "\ufeff".encode(f"utf-16-{order}")
    text = "D|S|1|SALE|-|1|1,00|x\n" * 2000 + "T|2000|2000,00\n"
    found = _trailer_of(spark, tmp_path, mark + text.encode(f"utf-16-{order}"), encoding="utf-16")
    assert found["rows"] == 2000


def test_a_json_key_that_first_stands_late_is_found_and_one_that_never_does_is_not(
    spark: SparkSession, tmp_path: Path
) -> None:
    row = dict.fromkeys(RECEIVED_NAMES, "x" * 100)
    del row["customer_id"]
    many = f"{json.dumps(row)}\n" * 800
    assert len(many) > 1 << 20
    folder = drop_folder(tmp_path, DROP_DATE)
    (folder / "late.json").write_text(many + json.dumps({**row, "customer_id": "C"}) + "\n")
    landing = Landing(spark, str(tmp_path), LandingConfig())
    (drop,) = landing.drops(None, None)
    assert "customer_id" in landing.headers(drop)["late.json"]
    escaped = json.dumps({**row, "customer_id": "C"}).replace("customer_id", "customer\\u005fid")
    (folder / "late.json").write_text(f"{many}{escaped}\n")
    landing = Landing(spark, str(tmp_path), LandingConfig())
    assert "customer_id" in landing.headers(landing.refreshed(drop))["late.json"]
    (folder / "never.json").write_text(many + json.dumps({**row, "customerId": "customer_id"}) + "\n")
    with pytest.raises(AuditError, match="'customer_id' is missing; its lines have"):
        landing.headers(landing.refreshed(drop))


def test_a_zip_of_a_kind_that_python_lacks_is_refused(tmp_path: Path) -> None:
    from pipeline.landing.unpack import UNREADABLE, open_parts

    path = tmp_path / "deflate64.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"x")
    content = bytearray(path.read_bytes())
    for at in (8, content.rindex(b"PK\x01\x02") + 10):
        content[at : at + 2] = (9).to_bytes(2, "little")
    path.write_bytes(content)
    with path.open("rb") as raw, pytest.raises(UNREADABLE, match="compression"):
        next(open_parts(raw, path.name))


def _why_refused(path: Path) -> str:
    from pipeline.landing.unpack import UNREADABLE, open_parts

    with path.open("rb") as raw, pytest.raises(UNREADABLE) as refused:
        for part in open_parts(raw, path.name):
            part.read()
    return str(refused.value)


def test_a_zip_of_nothing_of_too_much_or_with_a_password_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/a.csv", b"x")
        archive.writestr("below/", b"")
    assert _why_refused(path) == "the zip holds no file"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", b"12345")
        archive.writestr("b.csv", b"12345")
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.landing.unpack.MAX_MEMBERS", 1)
        assert _why_refused(path) == "the zip holds 2 files, more than 1"
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.landing.unpack.MAX_UNPACKED", 9)
        assert "the zip unpacks to more than" in _why_refused(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert _why_refused(path) == "a.csv in the zip needs a password"


@pytest.mark.parametrize("name", ["a.csv.GZ", "a.csv.zst", "a.csv.BZ2"])
def test_what_one_task_unpacks_has_a_limit_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    packed = {
        "GZ": gzip.compress(b"0" * 100),
        "zst": pa.Codec("zstd").compress(b"0" * 100, asbytes=True),
        "BZ2": bz2.compress(b"0" * 100),
    }
    (tmp_path / name).write_bytes(packed[name.rpartition(".")[2]])
    monkeypatch.setattr("pipeline.landing.unpack.MAX_UNPACKED", 99)
    assert "it is refused as a decompression bomb" in _why_refused(tmp_path / name)


def test_a_zip_whose_packed_bytes_are_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.csv", b"0" * 1000)
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    assert _why_refused(path) == "Corrupt input data"


def test_a_zip_of_two_headers_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    path = drop_folder(tmp_path, DROP_DATE) / "a.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", ",".join(RECEIVED_NAMES))
        archive.writestr("b.csv", ",".join(reversed(RECEIVED_NAMES)))
    landing = Landing(spark, str(tmp_path), LandingConfig())
    (drop,) = landing.drops(None, None)
    with pytest.raises(AuditError, match=r"a\.csv\.zip: its files have different headers: 'store_id,"):
        landing.headers(drop)


def test_a_zip_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    from pipeline.landing.unpack import open_parts

    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"0" * (64 << 20))
    with path.open("rb") as raw, pytest.raises(OSError, match="refused as a decompression bomb"):
        for part in open_parts(raw, path.name):
            while part.read(1 << 20):
                pass
