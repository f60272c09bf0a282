"""The decimals of a currency, and an amount in them."""

from __future__ import annotations

import re
from decimal import Decimal

from babel.numbers import get_currency_precision, is_currency
from iso4217 import Currency


def currency_scale(code: str) -> int | None:
    """Returns the decimals of a currency; None for a code that has none, such as XAU (gold).

    Codes that ISO 4217 has withdrawn count, too: sales of their years are still delivered and billed.

    Raises:
        ValueError: the code is no currency.
    """
    try:
        exponent = Currency(code).exponent
    except ValueError:
        return _historic_scale(code)
    return None if exponent is None else int(exponent)


def format_amount(amount: Decimal, currency: str, *, is_grouped: bool = True) -> str:
    """Formats an amount with the decimals of its currency.

    Args:
        amount: any amount; of a currency without decimals it is shown as it is.
        currency: ISO 4217 code, of today or of the past.
        is_grouped: whether to group thousands, as in ``1,234.50``.
    """
    scale = currency_scale(currency)
    comma, digits = "," if is_grouped else "", "" if scale is None else f".{scale}"
    return f"{amount:{comma}{digits}f}"


def _historic_scale(code: str) -> int:
    if not re.fullmatch("[A-Z]{3}", code) or not is_currency(code):
        raise ValueError(f"{code!r} must be an ISO 4217 currency code, of today or of the past, such as USD")
    return int(get_currency_precision(code))
