"""A document as a person reads it and as UBL, whatever its currency and its texts hold."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from pipeline.report.documents import print_document, render_document
from pipeline.report.ubl import to_ubl
from pipeline.settings import Seller
from pipeline.steps.documents import Document, DocumentLine
from schemas.states import DocumentKind

MON = dt.date(2026, 3, 2)
NET = Decimal("1234.500")
NOBODY = Seller(name="", address=(), tax_id="", country="")
CBC = "{urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2}"


def document(name: str = "Jam", currency: str = "USD", customer: str = "C-1") -> Document:
    line = DocumentLine("1042", "A", 1, MON, "P-1", name, Decimal(1), NET, Decimal(0), NET)
    sums = NET, Decimal(0), NET
    return Document("2026-1", DocumentKind.INVOICE, MON, customer, currency, None, MON, *sums, (line,))


def printed(shown: Document, seller: Seller) -> str:
    stream = io.StringIO()
    print_document(Console(file=stream, width=200, force_terminal=False), shown, seller)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("currency", "net"), [("USD", "1,234.50"), ("JPY", "1,234"), ("HRK", "1,234.50"), ("KWD", "1,234.500")]
)
def test_amounts_have_the_decimals_of_their_currency_also_of_one_of_the_past(currency: str, net: str) -> None:
    shown = document(currency=currency)
    assert f" {net}\n" in printed(shown, NOBODY)
    assert f">{net}<" in render_document(shown, NOBODY)
    payable = ET.fromstring(to_ubl(shown, NOBODY)).find(f".//{CBC}PayableAmount")
    assert payable is not None
    assert (payable.text, payable.get("currencyID")) == (net.replace(",", ""), currency)


@pytest.mark.parametrize("name", ["Cable [usb]", "x [/usb]", "[red]tea[/red]", "mug :smile:", 'TV 41" \\[b]'])
def test_a_name_is_shown_as_it_is(name: str) -> None:
    text = printed(document(name, customer=name), Seller(name=name, address=(name,), tax_id="", country=""))
    assert text.count(name) == 4


def test_a_name_drives_no_terminal() -> None:
    assert "a\\x1b[31mb\\x07" in printed(document("a\x1b[31mb\x07"), NOBODY)


@pytest.mark.parametrize("character", ["\x07", "\x0b", "\x1b", "\ufffe", "\uffff", "\ud800"])
def test_what_xml_forbids_is_replaced_in_ubl(character: str) -> None:
    root = ET.fromstring(to_ubl(document(f"a{character}b\tä😀", customer=f"C{character}"), NOBODY))
    texts = [element.text for element in root.iter() if element.tag in (f"{CBC}Name", f"{CBC}ID")]
    assert "a\ufffdb\tä😀" in texts
    assert "C\ufffd" in texts
