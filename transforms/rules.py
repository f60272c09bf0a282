"""The rules that judge a received line: reject reason -> condition, in one mapping.

A rule is a small function that returns a boolean Column which is true where the line is rejected, over the
columns that :func:`transforms.received.with_typed_fields` adds: the trimmed text of a field under its own
name, its typed value under ``typed_<name>``, and ``sale_date``.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.landing import RECEIVED_COLUMNS, RETURN, SALE
from transforms.fields import QUANTITY_DECIMALS, REPLACEMENT_CHARACTER, currency_decimals, decimals

MALFORMED_LINE = "malformed_line"
_CURRENCY_FORM = r"^[A-Z]{3}$"


def reject_rules(scales: Mapping[str, int]) -> dict[str, Column]:
    """Every rule by its reject reason, in the order in which reasons are listed (sorted).

    A rule may be null where its fields are missing: that is no rejection, ``missing_<column>`` is.

    Args:
        scales: decimals by ISO 4217 code, for the currencies that are allowed.
    """
    read = F.col("malformed_text").isNull()
    rules = {reason: read & condition for reason, condition in _field_rules(scales).items()}
    rules[MALFORMED_LINE] = ~read | _holds_undecodable_text()
    return dict(sorted(rules.items()))


def _field_rules(scales: Mapping[str, int]) -> dict[str, Column]:
    rules = {
        f"missing_{column.name}": F.col(column.name).isNull()
        for column in RECEIVED_COLUMNS
        if column.required
    }
    rules |= {f"bad_{name}": _does_not_parse(name) for name in ("line_number", "sold_at", "quantity")}
    rules |= {f"bad_{name}": _does_not_parse(name) for name in ("gross_amount", "discount_amount")}
    rules["bad_line_type"] = ~is_line_type()
    rules["bad_currency"] = ~is_currency_code()
    rules["currency_not_allowed"] = is_currency_code() & ~F.col("currency").isin(sorted(scales))
    too_fine = decimals(F.col("quantity")) > QUANTITY_DECIMALS
    rules["excess_scale_quantity"] = F.col("typed_quantity").isNotNull() & too_fine
    rules |= {
        f"excess_scale_{name}": _exceeds_scale(name, scales) for name in ("gross_amount", "discount_amount")
    }
    rules["zero_quantity"] = F.col("typed_quantity") == 0
    rules["sign_mismatch"] = _signs_disagree()
    rules["discount_exceeds_gross"] = F.abs("typed_discount_amount") > F.abs("typed_gross_amount")
    rules["future_sale"] = F.col("sale_date") > F.col("drop_date")
    return rules


def _does_not_parse(name: str) -> Column:
    return F.col(name).isNotNull() & F.col(f"typed_{name}").isNull()


def is_line_type() -> Column:
    """boolean: the line type is one of the two; null where it is missing."""
    return F.col("line_type").isin(SALE, RETURN)


def is_currency_code() -> Column:
    """boolean: the currency has the form of an ISO 4217 code; null where it is missing."""
    return F.col("currency").rlike(_CURRENCY_FORM)


def _exceeds_scale(name: str, scales: Mapping[str, int]) -> Column:
    """Only of a text that is a decimal at all: what does not parse is bad, not too fine."""
    parses = F.col(f"typed_{name}").isNotNull()
    return parses & (decimals(F.col(name)) > currency_decimals(F.col("currency"), scales))


def _signs_disagree() -> Column:
    quantity, gross = F.col("typed_quantity"), F.col("typed_gross_amount")
    discount = F.col("typed_discount_amount")
    negative_sale = (F.col("line_type") == SALE) & _either(quantity < 0, gross < 0)
    positive_return = (F.col("line_type") == RETURN) & _either(quantity > 0, gross > 0)
    opposite_discount = _either((discount < 0) & (gross > 0), (discount > 0) & (gross < 0))
    return _either(negative_sale, _either(positive_return, opposite_discount))


def _either(one: Column, other: Column) -> Column:
    """``one or other`` where a null, of a field that is missing or bad, counts as no."""
    return F.coalesce(one, F.lit(False)) | F.coalesce(other, F.lit(False))


def _holds_undecodable_text() -> Column:
    found = F.lit(False)
    for column in RECEIVED_COLUMNS:
        if column.kind == "text":
            found = found | F.coalesce(
                F.contains(F.col(column.name), F.lit(REPLACEMENT_CHARACTER)), F.lit(False)
            )
    return found
