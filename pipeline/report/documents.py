"""Shows one document: on the terminal, or as a page to print."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.console import Console
from rich.text import Text

from pipeline.report.logs import escape_controls
from pipeline.report.tables import bare_grid
from pipeline.settings import Seller
from pipeline.steps.documents import Document, DocumentLine
from schemas.currencies import format_amount
from schemas.states import DocumentKind

TITLES = {
    DocumentKind.INVOICE: "Invoice",
    DocumentKind.CREDIT_NOTE: "Credit note",
    DocumentKind.DEBIT_NOTE: "Debit note",
    DocumentKind.CORRECTION: "Correction",
}
_TEMPLATES = Path(__file__).parent / "templates"


def print_document(console: Console, document: Document, seller: Seller) -> None:
    """Prints a document with its lines and totals."""
    for line in (seller.name, *seller.address):
        if line:
            console.print(_text(line))
    console.print(_text(f"{TITLES[document.kind]} {document.document_number}"), style="bold")
    if document.refers_to is not None:
        console.print(_text(f"to invoice {document.refers_to}"))
    console.print(
        _text(
            f"customer {document.customer_id}, sales of {document.business_date}, issued on "
            f"{document.issued_on}"
        )
    )
    grid = bare_grid()
    for name in ("sold", "store", "receipt", "product"):
        grid.add_column(name)
    for name in ("quantity", "gross", "discount", f"net {document.currency}"):
        grid.add_column(name, justify="right")
    for sold in document.document_lines:
        grid.add_row(*map(_text, _cells(sold, document.currency)))
    totals = (document.gross_amount, document.discount_amount, document.net_amount)
    grid.add_row("total", "", "", "", "", *[format_amount(total, document.currency) for total in totals])
    console.print(grid)


def render_document(document: Document, seller: Seller) -> str:
    """Renders a document as an HTML page that loads nothing else; every value is escaped."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["amount"] = lambda amount: format_amount(amount, document.currency)
    template = environment.get_template("document.html.j2")
    return template.render(document=document, seller=seller, title=TITLES[document.kind])


def _text(value: str) -> Text:
    # A name is no markup and no emoji code, and it drives no terminal.
    return Text(escape_controls(value))


def _cells(sold: DocumentLine, currency: str) -> list[str]:
    amounts = (sold.gross_amount, sold.discount_amount, sold.net_amount)
    return [
        str(sold.sale_date),
        sold.store_id,
        f"{sold.transaction_id}/{sold.line_number}",
        sold.product_name or sold.product_id,
        f"{sold.quantity.normalize():f}",
        *[format_amount(amount, currency) for amount in amounts],
    ]
