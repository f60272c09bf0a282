"""The rules that validate a received line: reject reason -> condition, in one mapping.

A rule is a small function that returns a boolean Column. The column is true if the line must be rejected. It
uses the columns of :func:`transforms.received.with_typed_fields`: the trimmed text of a field under its own
name, its typed value under ``typed_<name>``, and ``sale_date``.

All rules are evaluated once, into one integer with a bit for each rule. Later expressions only test its bits.
A team's own rules have the bits after those of the contract.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.landing import RECEIVED_COLUMNS, RETURN, SALE, ReceivedColumn, names_of, received_columns
from schemas.own_rules import OwnRule
from transforms.fields import QUANTITY_DECIMALS, REPLACEMENT_CHARACTER, currency_decimals, decimals, is_cast

MALFORMED_LINE = "malformed_line"
CURRENCY_NOT_ALLOWED = "currency_not_allowed"
_CURRENCY_FORM = r"^[A-Z]{3}$"

# A signed 64-bit integer has a bit for each rule.
MOST_RULES = 63

# Number of decimals of each allowed currency, by ISO 4217 code.
Scales = Mapping[str, int]


def broken_rules(
    scales: Scales, valid_until: Mapping[str, dt.date] | None = None, own: Column | None = None
) -> Column:
    """int: the rules that a line breaks, one bit for each; 0 for an accepted line.

    A rule may be null if a field is missing. A null does not reject the line; ``missing_<column>`` does.

    Args:
        scales: number of decimals of each allowed currency, by ISO 4217 code.
        valid_until: last sale date of each currency that has one.
        own: bits of the team's own rules, as :func:`broken_own_rules` sets them; None if there are none.
    """
    broken = F.lit(0) if own is None else own
    for reason, rule in _rules().items():
        is_broken = rule(scales)
        if reason == CURRENCY_NOT_ALLOWED and valid_until:
            is_broken = _either(is_broken, _is_past_currency(valid_until))
        broken = broken.bitwiseOR(F.when(is_broken, F.lit(_bit(reason))).otherwise(F.lit(0)))
    # The fields of a malformed line may have the wrong names, so only MALFORMED_LINE counts for it.
    malformed = F.col("malformed_text").isNotNull()
    all_bits = (1 << len(_rules())) - 1  # becomes a bigint in Spark if an int has too few bits
    mask = F.when(malformed, F.lit(0)).otherwise(F.lit(all_bits if own is None else -1))
    return mask.bitwiseAND(broken).bitwiseOR(
        F.when(malformed, F.lit(_bit(MALFORMED_LINE))).otherwise(F.lit(0))
    )


def breaks(reason: str) -> Column:
    """boolean: whether the line breaks the rule of this reason, from the column ``broken_rules``."""
    return F.col("broken_rules").bitwiseAND(_bit(reason)) != 0


def broken_own_rules(rules: Sequence[OwnRule]) -> Column:
    """Int or bigint: the team's own rules that reject a line, one bit for each.

    It reads the typed values under the columns' own names. A null condition does not reject the line.

    Args:
        rules: rules that reject, in the order of their names.
    """
    broken = F.lit(0)
    for position, rule in enumerate(rules, start=len(_rules())):
        broken = broken.bitwiseOR(F.when(holds(rule), F.lit(1 << position)).otherwise(F.lit(0)))
    return broken


def holds(rule: OwnRule) -> Column:
    """boolean: whether the condition of a team's own rule is true of a line; may be null."""
    condition = F.expr(rule.condition)
    # The store first: lines of other stores then cost no more, and cannot make the condition fail.
    return F.col("store_id").isin(*rule.stores) & condition if rule.stores else condition


def reject_reasons(own: Sequence[OwnRule] = ()) -> Column:
    """array<string>: sorted reasons of all rules that the line breaks, from the column ``broken_rules``.

    Args:
        own: the team's own rules that reject, in the order of their names.
    """
    reasons = sorted([*_rules(), *(rule.name for rule in own)])
    return F.array_compact(F.array(*[F.when(_breaks(reason, own), F.lit(reason)) for reason in reasons]))


def _breaks(reason: str, own: Sequence[OwnRule]) -> Column:
    names = [rule.name for rule in own]
    if reason not in names:
        return breaks(reason)
    return F.col("broken_rules").bitwiseAND(1 << (len(_rules()) + names.index(reason))) != 0


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


def _is_past_currency(valid_until: Mapping[str, dt.date]) -> Column:
    """boolean: whether a sale is in a currency that had been given up on its sale date."""
    past = F.lit(False)
    for name in names_of("currency"):
        for code, last in sorted(valid_until.items()):
            past = _either(past, (F.col(name) == code) & (F.col("sale_date") > F.lit(last)))
    return past


def _has_currency_form(name: str, scales: Scales) -> Column:
    # Every allowed currency has the right form, so most lines need no regular expression.
    return _is_allowed(name, scales) | F.col(name).rlike(_CURRENCY_FORM)


def _is_allowed(name: str, scales: Scales) -> Column:
    return F.col(name).isin(sorted(scales))


def _has_excess_scale(column: ReceivedColumn, scales: Scales) -> Column:
    """Applies only to text that parses as a decimal; other text breaks ``bad_<name>`` instead."""
    allowed: int | Column = QUANTITY_DECIMALS if column.kind == "quantity" else column.scale
    if column.kind == "amount":
        allowed = currency_decimals(F.col("currency"), scales)
    return F.col(f"typed_{column.name}").isNotNull() & (decimals(F.col(column.name)) > allowed)


def _is_zero_quantity(_: Scales) -> Column:
    return F.col("typed_quantity") == 0


def _signs_disagree(_: Scales) -> Column:
    quantity, gross = F.col("typed_quantity"), F.col("typed_gross_amount")
    discount = F.col("typed_discount_amount")
    negative_sale = (F.col("line_type") == SALE) & _either(quantity < 0, gross < 0)
    positive_return = (F.col("line_type") == RETURN) & _either(quantity > 0, gross > 0)
    opposite_discount = _either((discount < 0) & (gross > 0), (discount > 0) & (gross < 0))
    return _either(negative_sale, _either(positive_return, opposite_discount))


def _either(first: Column, second: Column) -> Column:
    """boolean: ``first or second``; a null, from a missing or bad field, counts as false."""
    return F.coalesce(first, F.lit(False)) | F.coalesce(second, F.lit(False))


def _discount_exceeds_gross(_: Scales) -> Column:
    return F.abs("typed_discount_amount") > F.abs("typed_gross_amount")


def _is_future_sale(_: Scales) -> Column:
    return F.col("sale_date") > F.col("drop_date")


def _holds_undecodable_text(_: Scales) -> Column:
    is_undecodable = F.lit(False)
    for name in names_of("text"):
        has_replacement = F.contains(F.col(name), F.lit(REPLACEMENT_CHARACTER))
        is_undecodable = is_undecodable | F.coalesce(has_replacement, F.lit(False))
    return is_undecodable


@lru_cache(maxsize=8)
def _rules_of(columns: tuple[ReceivedColumn, ...]) -> dict[str, Callable[[Scales], Column]]:
    """The rules of the contract by reason. Sorted, because the reasons of a line are listed in this order."""
    of_kind: dict[str, list[str]] = {}
    for column in columns:
        of_kind.setdefault(column.kind, []).append(column.name)
    rules: dict[str, Callable[[Scales], Column]] = {
        **{
            f"missing_{column.name}": partial(_is_missing, column.name)
            for column in columns
            if column.required
        },
        **{
            f"bad_{column.name}": partial(_does_not_parse, column.name)
            for column in columns
            if is_cast(column)
        },
        **{f"bad_{name}": partial(_is_no_line_type, name) for name in of_kind.get("line_type", [])},
        **{f"bad_{name}": partial(_is_no_currency, name) for name in of_kind.get("currency", [])},
        CURRENCY_NOT_ALLOWED: _is_currency_not_allowed,
        **{
            f"excess_scale_{column.name}": partial(_has_excess_scale, column)
            for column in columns
            if column.kind in ("quantity", "amount", "decimal")
        },
        "zero_quantity": _is_zero_quantity,
        "sign_mismatch": _signs_disagree,
        "discount_exceeds_gross": _discount_exceeds_gross,
        "future_sale": _is_future_sale,
        MALFORMED_LINE: _holds_undecodable_text,
    }
    return dict(sorted(rules.items()))


def _rules() -> dict[str, Callable[[Scales], Column]]:
    return _rules_of(received_columns())


# The reasons of every lake; a team's own columns and rules add theirs.
REJECT_REASONS: tuple[str, ...] = tuple(_rules_of(RECEIVED_COLUMNS))


def contract_reasons() -> tuple[str, ...]:
    """The reject reasons of the contract in force, without those of a team's own rules."""
    return tuple(_rules())


def _bit(reason: str) -> int:
    return 1 << list(_rules()).index(reason)
