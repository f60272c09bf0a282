"""What columns and values are called elsewhere."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence

from schemas.landing import RECEIVED_NAMES, RETURN, SALE

# Names of tills and ERP systems, folded: letters and digits alone, without accents.
_ALSO: dict[str, tuple[str, ...]] = {
    "store_id": (
        "store",
        "shop",
        "shopno",
        "filiale",
        "markt",
        "magasin",
        "tienda",
        "negozio",
        "branch",
        "werks",
    ),
    "transaction_id": (
        "receipt",
        "bon",
        "beleg",
        "bonnr",
        "belegnr",
        "ticket",
        "transaction",
        "trans",
        "scontrino",
    ),
    "line_number": ("line", "lineno", "position", "pos", "zeile", "ligne", "seq", "item"),
    "sold_at": ("timestamp", "datetime", "time", "date", "zeit", "datum", "zeitpunkt", "horodatage", "fecha"),
    "customer_id": ("customer", "kunde", "kundennr", "client", "cliente", "loyalty", "card"),
    "product_id": ("product", "sku", "ean", "artikelnr", "article", "plu", "gtin", "matnr"),
    "product_name": ("name", "artikel", "description", "bezeichnung", "designation", "text"),
    "category": ("group", "warengruppe", "department", "famille", "categoria", "rayon"),
    "line_type": ("type", "art", "kind", "typ", "vorgang"),
    "quantity": ("qty", "menge", "anzahl", "quantite", "cantidad", "units", "stueck"),
    "gross_amount": ("gross", "brutto", "amount", "betrag", "total", "umsatz", "montant", "importe"),
    "discount_amount": ("discount", "rabatt", "remise", "descuento", "markdown", "nachlass"),
    "currency": ("waehrung", "wahrung", "devise", "moneda", "curr", "waers"),
    "payment_method": ("payment", "tender", "zahlart", "zahlung", "paiement", "pago"),
    "channel": ("kanal", "canal", "source"),
}
_LINE_TYPES = {
    SALE: ("s", "sale", "sales", "v", "verkauf", "vk", "vente", "venta", "vendita"),
    RETURN: (
        "r",
        "return",
        "returns",
        "retoure",
        "ruckgabe",
        "rueckgabe",
        "retour",
        "devolucion",
        "refund",
        "storno",
    ),
}


def folded(text: str) -> str:
    """Letters and digits of a text, without accents, in lower case."""
    plain = unicodedata.normalize("NFKD", text.replace("\u00df", "ss"))
    return re.sub(r"[^a-z0-9]", "", plain.lower())


def columns_of(names: Sequence[str]) -> dict[str, str]:
    """The received name of each contract column that a header seems to hold; each name is used once."""
    left = {name: folded(name) for name in names}
    found: dict[str, str] = {}
    for is_same in (_is_own, _is_known, _is_close):
        for column in RECEIVED_NAMES:
            match = next((name for name, text in left.items() if is_same(column, text)), None)
            if column not in found and match is not None:
                found[column] = match
                del left[match]
    return found


def _is_own(column: str, text: str) -> bool:
    return text == folded(column)


def _is_known(column: str, text: str) -> bool:
    return text in _ALSO[column]


def _is_close(column: str, text: str) -> bool:
    return bool(difflib.get_close_matches(text, [folded(column), *_ALSO[column]], n=1, cutoff=0.8))


def line_types_of(values: Sequence[str]) -> dict[str, str]:
    """SALE or RETURN by the file's own value; empty if a value is neither, or is the contract's already."""
    known = {own: kind for kind, owns in _LINE_TYPES.items() for own in owns}
    mapped = {value: known.get(folded(value), "") for value in values if value}
    is_contract = all(value == kind for value, kind in mapped.items())
    return {} if is_contract or not all(mapped.values()) else mapped
