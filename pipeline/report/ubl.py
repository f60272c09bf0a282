"""Writes a document as UBL 2.1 XML: an Invoice for invoices, debit notes and corrections, or a CreditNote."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from xml.etree import ElementTree as ET

from pipeline.settings import Seller
from pipeline.steps.documents import Document, DocumentLine
from schemas.currencies import format_amount
from schemas.states import DocumentKind

_UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
_CAC, _CBC = f"{_UBL}CommonAggregateComponents-2", f"{_UBL}CommonBasicComponents-2"
# UNTDID 1001, as EN 16931 uses it: commercial invoice, debit note, corrected invoice, credit note.
_TYPE_CODES = {
    DocumentKind.INVOICE: "380",
    DocumentKind.DEBIT_NOTE: "383",
    DocumentKind.CORRECTION: "384",
    DocumentKind.CREDIT_NOTE: "381",
}
# What XML 1.0 does not allow, not even escaped. A delivered text may hold it.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# UN/ECE Recommendation 20: one piece. The lines carry no unit.
_PIECE = "C62"


def to_ubl(document: Document, seller: Seller) -> bytes:
    """Returns a document as UBL 2.1 XML in UTF-8. It states no tax: the sales carry none.

    The amounts of a credit note are what is credited, so their sign is the other way round. The lines are
    net: the discount of a line is an allowance in it. A character that XML forbids becomes U+FFFD.
    """
    is_credit = document.kind is DocumentKind.CREDIT_NOTE
    root_name = "CreditNote" if is_credit else "Invoice"
    ET.register_namespace("cac", _CAC)
    ET.register_namespace("cbc", _CBC)
    ET.register_namespace("", f"{_UBL}{root_name}-2")
    root = ET.Element(f"{{{_UBL}{root_name}-2}}{root_name}")
    _basic(root, "UBLVersionID", "2.1")
    _basic(root, "ID", document.document_number)
    _basic(root, "IssueDate", document.issued_on.isoformat())
    _basic(root, f"{root_name}TypeCode", _TYPE_CODES[document.kind])
    _basic(root, "DocumentCurrencyCode", document.currency)
    period = _aggregate(root, "InvoicePeriod")
    _basic(period, "StartDate", document.business_date.isoformat())
    _basic(period, "EndDate", document.business_date.isoformat())
    if document.refers_to is not None:
        reference = _aggregate(_aggregate(root, "BillingReference"), "InvoiceDocumentReference")
        _basic(reference, "ID", document.refers_to)
    _add_seller(root, seller)
    customer = _aggregate(_aggregate(root, "AccountingCustomerParty"), "Party")
    _basic(_aggregate(customer, "PartyIdentification"), "ID", document.customer_id)
    sign = -1 if is_credit else 1
    totals = _aggregate(root, "LegalMonetaryTotal")
    for name in ("LineExtensionAmount", "PayableAmount"):
        _amount(totals, name, sign * document.net_amount, document.currency)
    for position, line in enumerate(document.document_lines, 1):
        _add_line(root, document, position, line)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _add_seller(root: ET.Element, seller: Seller) -> None:
    party = _aggregate(_aggregate(root, "AccountingSupplierParty"), "Party")
    if seller.name:
        _basic(_aggregate(party, "PartyName"), "Name", seller.name)
    if seller.address or seller.country:
        _add_address(party, seller.address, seller.country)
    if seller.tax_id:
        scheme = _aggregate(party, "PartyTaxScheme")
        _basic(scheme, "CompanyID", seller.tax_id)
        _basic(_aggregate(scheme, "TaxScheme"), "ID", "VAT")


def _add_address(party: ET.Element, lines: Sequence[str], country: str) -> None:
    address = _aggregate(party, "PostalAddress")
    for line in lines:
        _basic(_aggregate(address, "AddressLine"), "Line", line)
    if country:
        _basic(_aggregate(address, "Country"), "IdentificationCode", country)


def _add_line(root: ET.Element, document: Document, position: int, sold: DocumentLine) -> None:
    is_credit = document.kind is DocumentKind.CREDIT_NOTE
    sign = -1 if is_credit else 1
    line = _aggregate(root, "CreditNoteLine" if is_credit else "InvoiceLine")
    _basic(line, "ID", str(position))
    receipt = (
        f"store {sold.store_id}, receipt {sold.transaction_id}/{sold.line_number}, sold {sold.sale_date}"
    )
    _basic(line, "Note", receipt)
    quantity = _basic(
        line, "CreditedQuantity" if is_credit else "InvoicedQuantity", f"{sign * sold.quantity:f}"
    )
    quantity.set("unitCode", _PIECE)
    _amount(line, "LineExtensionAmount", sign * sold.net_amount, document.currency)
    if sold.discount_amount:
        allowance = _aggregate(line, "AllowanceCharge")
        _basic(allowance, "ChargeIndicator", "false")
        _amount(allowance, "Amount", sign * sold.discount_amount, document.currency)
        _amount(allowance, "BaseAmount", sign * sold.gross_amount, document.currency)
    item = _aggregate(line, "Item")
    _basic(item, "Name", sold.product_name or sold.product_id)
    _basic(_aggregate(item, "SellersItemIdentification"), "ID", sold.product_id)


def _aggregate(parent: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(parent, f"{{{_CAC}}}{name}")


def _basic(parent: ET.Element, name: str, text: str) -> ET.Element:
    element = ET.SubElement(parent, f"{{{_CBC}}}{name}")
    element.text = _FORBIDDEN.sub("\ufffd", text)
    return element


def _amount(parent: ET.Element, name: str, amount: Decimal, currency: str) -> None:
    shown = amount + Decimal(0)  # -0 becomes 0
    _basic(parent, name, format_amount(shown, currency, is_grouped=False)).set("currencyID", currency)
