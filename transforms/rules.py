"""The rules that judge a received line: reject reason -> condition, in one mapping.

A rule is a small function that returns a boolean Column which is true where the line is rejected, over the
columns that :func:`transforms.received.with_typed_fields` gives: the trimmed text of a field under its own
name, its typed value under ``typed_<name>``, and ``sale_date``.

What a line breaks is worked out once, as a bit for each rule in one number: everything that hangs on it is
then a look at that number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.landing import RECEIVED_COLUMNS, RETURN, SALE, names_of
from transforms.fields import QUANTITY_DECIMALS, REPLACEMENT_CHARACTER, currency_decimals, decimals

MALFORMED_LINE = "malformed_line"
_CURRENCY_FORM = r"^[A-Z]{3}$"

# Decimals by ISO 4217 code, for the currencies that are allowed.
Scales = Mapping[str, int]


def broken_rules(scales: Scales) -> Column:
    """int: the rules that a line breaks, a bit for each; 0 where it is accepted.

    A rule may be null where its fields are missing: that is no rejection, ``missing_<column>`` is.

    Args:
        scales: decimals by ISO 4217 code, for the currencies that are allowed.
    """
    broken = F.lit(0)
    for reason, rule in _RULES.items():
        broken = broken.bitwiseOR(F.when(rule(scales), F.lit(_bit(reason))).otherwise(F.lit(0)))
    # Of a line that could not be split, the fields that were found may stand under the wrong names.
    malformed = F.col("malformed_text").isNotNull()
    counts = F.when(malformed, F.lit(0)).otherwise(F.lit(_ALL_BITS))
    return counts.bitwiseAND(broken).bitwiseOR(
        F.when(malformed, F.lit(_bit(MALFORMED_LINE))).otherwise(F.lit(0))
    )


def breaks(reason: str) -> Column:
    """boolean: the line breaks the rule of this reason, by ``broken_rules``."""
    return F.col("broken_rules").bitwiseAND(_bit(reason)) != 0


def reject_reasons() -> Column:
    """array<string>: the reasons of all rules that the line breaks, sorted, by ``broken_rules``."""
    return F.array_compact(F.array(*[F.when(breaks(reason), F.lit(reason)) for reason in _RULES]))


def _is_missing(name: str, _: Scales) -> Column:
    return F.col(name).isNull()


def _does_not_parse(name: str, _: Scales) -> Column:
    return F.col(name).isNotNull() & F.col(f"typed_{name}").isNull()


def _is_no_line_type(name: str, _: Scales) -> Column:
    return ~F.col(name).isin(SALE, RETURN)


def _is_no_currency(name: str, scales: Scales) -> Column:
    return ~_has_currency_form(name, scales)


def _is_currency_not_allowed(scales: Scales) -> Column:
    refused = F.lit(False)
    for name in names_of("currency"):
        refused = _either(refused, _has_currency_form(name, scales) & ~_is_allowed(name, scales))
    return refused


def _has_currency_form(name: str, scales: Scales) -> Column:
    # Every currency of the config has the form of ISO 4217, so most lines need no regular expression.
    return _is_allowed(name, scales) | F.col(name).rlike(_CURRENCY_FORM)


def _is_allowed(name: str, scales: Scales) -> Column:
    return F.col(name).isin(sorted(scales))


def _is_too_fine_quantity(name: str, _: Scales) -> Column:
    return F.col(f"typed_{name}").isNotNull() & (decimals(F.col(name)) > QUANTITY_DECIMALS)


def _exceeds_scale(name: str, scales: Scales) -> Column:
    """Only of a text that is a decimal at all: what does not parse is bad, not too fine."""
    parses = F.col(f"typed_{name}").isNotNull()
    return parses & (decimals(F.col(name)) > currency_decimals(F.col("currency"), scales))


def _is_zero_quantity(_: Scales) -> Column:
    return F.col("typed_quantity") == 0


def _signs_disagree(_: Scales) -> Column:
    quantity, gross = F.col("typed_quantity"), F.col("typed_gross_amount")
    discount = F.col("typed_discount_amount")
    negative_sale = (F.col("line_type") == SALE) & _either(quantity < 0, gross < 0)
    positive_return = (F.col("line_type") == RETURN) & _either(quantity > 0, gross > 0)
    opposite_discount = _either((discount < 0) & (gross > 0), (discount > 0) & (gross < 0))
    return _either(negative_sale, _either(positive_return, opposite_discount))


def _either(one: Column, other: Column) -> Column:
    """``one or other`` where a null, of a field that is missing or bad, counts as no."""
    return F.coalesce(one, F.lit(False)) | F.coalesce(other, F.lit(False))


def _discount_exceeds_gross(_: Scales) -> Column:
    return F.abs("typed_discount_amount") > F.abs("typed_gross_amount")


def _is_future_sale(_: Scales) -> Column:
    return F.col("sale_date") > F.col("drop_date")


def _holds_undecodable_text(_: Scales) -> Column:
    found = F.lit(False)
    for name in names_of("text"):
        found = found | F.coalesce(F.contains(F.col(name), F.lit(REPLACEMENT_CHARACTER)), F.lit(False))
    return found


_UNORDERED: dict[str, Callable[[Scales], Column]] = {
    **{
        f"missing_{column.name}": partial(_is_missing, column.name)
        for column in RECEIVED_COLUMNS
        if column.required
    },
    **{
        f"bad_{name}": partial(_does_not_parse, name)
        for name in names_of("integer", "timestamp", "quantity", "amount")
    },
    **{f"bad_{name}": partial(_is_no_line_type, name) for name in names_of("line_type")},
    **{f"bad_{name}": partial(_is_no_currency, name) for name in names_of("currency")},
    "currency_not_allowed": _is_currency_not_allowed,
    **{f"excess_scale_{name}": partial(_is_too_fine_quantity, name) for name in names_of("quantity")},
    **{f"excess_scale_{name}": partial(_exceeds_scale, name) for name in names_of("amount")},
    "zero_quantity": _is_zero_quantity,
    "sign_mismatch": _signs_disagree,
    "discount_exceeds_gross": _discount_exceeds_gross,
    "future_sale": _is_future_sale,
    MALFORMED_LINE: _holds_undecodable_text,
}
# In the order in which the reasons of a line are listed.
_RULES = dict(sorted(_UNORDERED.items()))
_POSITIONS = {reason: position for position, reason in enumerate(_RULES)}
_ALL_BITS = (1 << len(_RULES)) - 1  # Spark makes it a bigint where an int has too few bits
REJECT_REASONS: tuple[str, ...] = tuple(_RULES)


def _bit(reason: str) -> int:
    return 1 << _POSITIONS[reason]
