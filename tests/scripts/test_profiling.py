"""A profile is proposed for each of the eight forms of a day, and works once a person has filled its gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from pipeline.landing.config import LandingConfig
from pipeline.landing.landing import Landing
from pipeline.settings import load_settings
from scripts.profiling.__main__ import main, proposal
from scripts.profiling.sniff import Found
from scripts.profiling.typed import typed_row
from tests.support.landing import csv_text, drop_folder
from tests.support.lines import DROP_DATE
from tools.synthetic.forms import FORMS, day_of_sales
from transforms.received import ValidationConfig, validate_received

CONTRACT, SEMICOLON, PIPE, TAB, FIXED = list(FORMS)[:5]


def landed(folder: Path, form: str) -> Path:
    known = set(folder.iterdir())
    FORMS[form].write(folder, day_of_sales())
    (path,) = set(folder.iterdir()) - known
    return path


def proposed(path: Path) -> dict[str, Any]:
    (keys,) = yaml.safe_load(proposal(path, {}))["deliveries"]
    return dict(keys)


def test_each_proposal_reads_the_day_as_it_stands(
    spark: SparkSession, interpreted: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = drop_folder(tmp_path / "landing", DROP_DATE)
    paths = {form: landed(folder, form) for form in FORMS}
    printed = []
    for form, path in paths.items():
        assert main(["--known", yaml.safe_dump(FORMS[form].known), str(path)]) == 0
        printed.append(capsys.readouterr().out.partition("\n")[2])
    assert not [text for text in printed if "to decide" in text or "not valid" in text]
    config = tmp_path / "mine.yaml"
    config.write_text("deliveries:\n" + "".join(printed) + "currencies: [EUR]\n")
    settings = load_settings(str(config), [], {})
    landing = Landing(spark, str(tmp_path / "landing"), LandingConfig(profiles=settings.deliveries))
    (drop,) = landing.drops(None, None)
    assert landing.with_trailers(drop).manifest is not None
    lines = landing.lines({drop: landing.headers(drop)})
    rows = validate_received(lines, ValidationConfig(scales=settings.currency_scales)).collect()
    read: dict[str, list[Any]] = {form: [] for form in FORMS}
    for row in rows:
        form = next(form for form, path in paths.items() if path.name == row.source_file)
        read[form].append(str({**row.asDict(), "source_file": ""}))
    assert len(read[CONTRACT]) == len(day_of_sales())
    for form in FORMS:
        assert sorted(read[form]) == sorted(read[CONTRACT]), form


@pytest.mark.parametrize(
    ("known", "problem"),
    [
        ("EUR", "'EUR' must be as '{constants: {currency: EUR}}'"),
        ("{delimiter: {}}", "'delimiter' is none of columns, constants, positions"),
        ("{constants: {shop: x}}", "'shop' is no column of the contract"),
        ("{positions: {store_id: 1-6}}", "positions of store_id must be as [1, 6], is '1-6'"),
    ],
)
def test_what_is_known_must_be_of_its_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], known: str, problem: str
) -> None:
    assert main(["--known", known, str(landed(tmp_path, CONTRACT))]) == 2
    assert problem in capsys.readouterr().err


def test_the_proposals_of_several_files_are_one_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(landed(tmp_path, form)) for form in (TAB, SEMICOLON)]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert [keys["files"] for keys in printed["deliveries"]] == ["sales.tsv", "filiale_*.TXT"]


def test_a_known_column_is_taken_and_each_gap_says_how_to_fill_it(tmp_path: Path) -> None:
    path = landed(tmp_path, SEMICOLON)
    text = proposal(path, {"columns": {"product_id": "category", "category": "product_id"}})
    (keys,) = yaml.safe_load(text)["deliveries"]
    assert (keys["columns"]["product_id"], keys["columns"]["category"]) == ("category", "product_id")
    unknown = "# to decide: currency: no column seems to hold it; map it in columns, or give it in constants"
    assert unknown in text.splitlines()
    assert "give it in constants, or {channel: ''} there if it has none" in text
    of_fixed = proposal(landed(tmp_path, FIXED), {})
    assert "# to decide: store_id: no column seems to hold it; map it in positions" in of_fixed


def test_a_proposal_says_why_and_what_is_to_be_decided(tmp_path: Path) -> None:
    text = proposal(landed(tmp_path, SEMICOLON), {})
    (keys,) = yaml.safe_load(text)["deliveries"]
    assert keys["encoding"] == "windows-1252"
    assert keys["columns"]["transaction_id"] == "Bon"
    assert "local_time: true  # '02.03.2026 08:00:00' has no offset: the store's time zone decides" in text
    assert "# to decide: currency: no column seems to hold it" in text
    assert "#   Brutto: '1.234,56' -> gross_amount 1234.56" in text
    assert "'02.03.2026 08:00:00' -> sold_at 2026-03-02 08:00:00 on the store's clock" in text


def test_the_trailer_of_a_long_file_is_found_and_its_count_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "pos.dat"
    FORMS[PIPE].write(tmp_path, day_of_sales(12_000))
    assert path.stat().st_size > 1 << 20
    text = proposal(path, {"constants": {"currency": "EUR"}})
    (keys,) = yaml.safe_load(text)["deliveries"]
    assert keys["record_type"] == {"data": "D", "trailer": "T", "skip": ["H"]}
    asked = "# to decide: trailer_rows: give the number of the field of the trailer ['T', '12000', "
    assert asked in text


def test_stores_are_no_types_of_records(tmp_path: Path) -> None:
    rows = [{**row, "store_id": str(number % 2)} for number, row in enumerate(day_of_sales())]
    path = tmp_path / "sales.csv"
    path.write_text(csv_text(rows) + "TOTAL,30.00\n")
    assert set(proposed(path)) == {"files"}
    # Cut in the middle of a line, behind a byte order mark.
    path.write_bytes(b"\xef\xbb\xbf" + csv_text(rows * 200).encode())
    assert path.stat().st_size > 1 << 20
    assert set(proposed(path)) == {"files"}


def test_a_row_is_typed_as_a_run_would_type_it() -> None:
    keys: dict[str, object] = {
        "decimal": ",",
        "nulls": ["", "NULL"],
        "sign": "by_line_type",
        "values": {"line_type": {"R": "RETURN"}},
        "timestamp": "dd.MM.yyyy HH:mm",
    }
    names = ["line_type", "gross_amount", "discount_amount", "customer_id", "currency", "sold_at", "till"]
    row = ["R ", "12,50", "1.5", "NULL", "", "31.02.2026 08:00", "7"]
    assert typed_row(Found("csv", keys, names=names), row) == [
        "line_type: 'R ' -> line_type RETURN",
        "gross_amount: '12,50' -> gross_amount -12.50",
        "discount_amount: '1.5' -> discount_amount not valid",
        "customer_id: 'NULL' -> customer_id nothing",
        "currency: '' -> currency not valid: it is empty",
        "sold_at: '31.02.2026 08:00' -> sold_at not valid",
        "till: '7'",
    ]
    sold_at = Found("csv", {"timestamp": "dd.MM.yyyy HH:mm"}, names=["sold_at"])
    # Without local_time, no offset says which instant it is.
    assert typed_row(sold_at, ["02.03.2026 08:00"]) == ["sold_at: '02.03.2026 08:00' -> sold_at not valid"]


def test_lines_before_the_header_and_amounts_without_a_sign_are_found(tmp_path: Path) -> None:
    unsigned = [{**row, "gross_amount": str(row["gross_amount"]).removeprefix("-")} for row in day_of_sales()]
    path = tmp_path / "report 2026-03-02.csv"
    path.write_text("sep=,\nSales of the day\n" + csv_text(unsigned))
    keys = proposed(path)
    assert (keys["files"], keys["skip_first"], keys["sign"]) == ("report *-*-*.csv", 2, "by_line_type")


def test_a_time_that_may_be_read_in_two_ways_or_in_none_is_to_be_decided(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    text = {
        time: csv_text([{**row, "sold_at": time} for row in day_of_sales()])
        for time in ("03/02/2026 08:00:00", "03/22/2026 08:00:00", "2 Mar 26, 8 h")
    }
    either = "# to decide: timestamp: dd/MM/yyyy HH:mm:ss fits each value as well, as '03/02/2026 08:00:00'"
    unknown = "# to decide: timestamp: the form of '2 Mar 26, 8 h' is not known"
    found = {}
    for time, content in text.items():
        path.write_text(content)
        found[time] = [line for line in (either, unknown) if line in proposal(path, {})]
    assert list(found.values()) == [[either], [], [unknown]]


def test_the_contracts_own_form_needs_no_profile(tmp_path: Path) -> None:
    assert "# the contract's own form: it needs no profile" in proposal(landed(tmp_path, CONTRACT), {})


def test_a_file_that_is_no_table_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(b"%PDF-1.7")
    assert main([str(path)]) == 2
    assert "its bytes are PDF" in capsys.readouterr().err
    assert main([]) == 2
