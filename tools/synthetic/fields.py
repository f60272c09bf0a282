"""The text of a line's fields: tidy, untidy, or invalid in the way that its kind demands."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.landing import RECEIVED_COLUMNS, RECEIVED_NAMES, RETURN, SALE
from tools.synthetic.catalogue import QUOTED_SIZES, SIZES, Catalogue
from tools.synthetic.draws import Draws, at
from tools.synthetic.plan import CURRENCY_SCALES, SyntheticPlan
from tools.synthetic.values import WALK_IN, category_of, is_kind

PAYMENT_METHODS = ("card", "cash", "gift card", "")
CHANNELS = ("store", "online", "")

_NO_NUMBERS = ("two", "1e3", "1,5", "12.", ".5", "1 000", "NaN")
_BAD_TEXTS: Mapping[str, tuple[str, ...]] = {
    "line_number": ("1a", "-1", "1.0", "99999999999"),
    "sold_at": (
        "2026-02-30T10:00:00Z",
        "2026-11-01 10:00",
        "11/27/2026 09:30",
        "2026-11-01T25:00:00Z",
        "noon",
    ),
    "line_type": ("Sale", "return", "REFUND", "S"),
    "quantity": (*_NO_NUMBERS, "1234567890"),
    "gross_amount": (*_NO_NUMBERS, "$12.00", "1234567890123456"),
    "discount_amount": (*_NO_NUMBERS, "5%"),
    "currency": ("usd", "US$", "US", "USDX", "840"),
}

_FRACTION_SHARE = 0.05
_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_OPENS = 6 * _HOUR
_OPEN_SECONDS = 17 * _HOUR
_MIDNIGHT_SHARE = 0.01

# Latin-1 text: decoding it as UTF-8 gives the replacement character.
_NOT_UTF8 = b"Caf\xe9"


def with_fields(lines: DataFrame, plan: SyntheticPlan) -> DataFrame:
    """Add one text column per received column; an empty field is an empty text."""
    draws = Draws(plan.seed)
    line, copy = F.col("id"), F.col("copy")
    lines = _with_clock(lines, plan)
    # Padding and a plus sign do not change a value, so each copy draws its own.
    untidy = draws.chance("untidy", plan.untidy_share, line, copy)
    lines = lines.withColumn(
        "untidy", F.when(untidy, draws.below("untidiness", 4, line, copy)).otherwise(F.lit(-1))
    )
    tidy = {
        "store_id": F.concat(F.lit("S"), _padded(1 + F.pmod(F.col("transaction"), F.lit(plan.stores)), 4)),
        "transaction_id": F.concat(F.lit("T"), _padded(F.expr(f"transaction div {plan.stores}"), 9)),
        "line_number": F.col("line_number").cast("string"),
        "sold_at": _sold_at(plan),
        "customer_id": F.when(F.col("customer") == WALK_IN, F.lit("")).otherwise(
            F.concat(F.lit("C"), _padded(F.col("customer"), 8))
        ),
        "product_id": F.concat(F.lit("P"), _padded(F.col("product"), 4)),
        "product_name": _product_name(plan),
        "category": category_of(F.col("product")),
        "line_type": F.when(F.col("is_return"), F.lit(RETURN)).otherwise(F.lit(SALE)),
        "quantity": _quantity(plan),
        "gross_amount": _gross(plan),
        "discount_amount": _discount(plan),
        "currency": _currency(plan),
        "payment_method": draws.choice("payment method", PAYMENT_METHODS, F.col("transaction")),
        "channel": draws.choice("channel", CHANNELS, F.col("transaction")),
    }
    spoilt = {name: _spoilt(name, tidy.get(name, F.lit("")), plan) for name in RECEIVED_NAMES}
    untidiness = F.col("untidy")
    for number, name in enumerate(("product_name", "quantity", "currency")):
        padded = F.concat(F.lit("  "), spoilt[name], F.lit(" "))
        spoilt[name] = F.when(untidiness == number, padded).otherwise(spoilt[name])
    return lines.withColumns(spoilt)


def _spoilt(name: str, tidy: Column, plan: SyntheticPlan) -> Column:
    """The field's text, or an invalid one if the line must be rejected for this field."""
    line = F.col("id")
    draws = Draws(plan.seed)
    text = tidy
    if name in _BAD_TEXTS:
        bad = draws.choice(f"bad {name}", _BAD_TEXTS[name], line)
        text = F.when(is_kind(f"bad_{name}"), bad).otherwise(text)
    if next(column.required for column in RECEIVED_COLUMNS if column.name == name):
        text = F.when(is_kind(f"missing_{name}"), draws.choice("blank", ("", "   "), line)).otherwise(text)
    return text


def _padded(number: Column, width: int) -> Column:
    """At least ``width`` digits."""
    digits = number.cast("string")
    return F.when(F.length(digits) < width, F.lpad(digits, width, "0")).otherwise(digits)


def _with_clock(lines: DataFrame, plan: SyntheticPlan) -> DataFrame:
    """Add local_seconds and utc_seconds of the sale.

    Local times are from 6 to 23 o'clock, some at 23:59 and 00:01. Clock changes skip or repeat none of them.
    """
    draws = Draws(plan.seed)
    line, transaction = F.col("id"), F.col("transaction")
    midnight = draws.unit("midnight", transaction)
    second = draws.below("second", _MINUTE, transaction)
    of_day = (
        F.when(midnight < F.lit(_MIDNIGHT_SHARE / 2), F.lit(_DAY - _MINUTE) + second)
        .when(midnight < F.lit(_MIDNIGHT_SHARE), F.lit(_MINUTE) + second)
        .otherwise(F.lit(_OPENS) + draws.below("time of day", _OPEN_SECONDS, transaction))
    )
    day = F.when(is_kind("future_sale"), F.col("drop_day") + 1 + draws.below("ahead by", 3, line)).otherwise(
        F.col("sale_day")
    )
    local = F.col("local_seconds")
    utc = F.unix_seconds(F.to_utc_timestamp(F.timestamp_seconds(local), plan.timezone))
    return lines.withColumn("local_seconds", day * F.lit(_DAY) + of_day).withColumn("utc_seconds", utc)


def _sold_at(plan: SyntheticPlan) -> Column:
    """The time of sale with an offset or a Z, in the forms that the contract allows."""
    draws = Draws(plan.seed)
    line, copy = F.col("id"), F.col("copy")
    form = draws.below("form of time", 10, line, copy)
    in_utc = form < 3
    seconds = F.when(in_utc, F.col("utc_seconds")).otherwise(F.col("local_seconds"))
    date = _date_of(seconds)
    of_day = F.pmod(seconds, F.lit(_DAY))
    separator = F.when(form == 4, F.lit(" ")).otherwise(F.lit("T"))
    clock = F.concat(_two(_div(of_day, _HOUR)), F.lit(":"), _two(_div(F.pmod(of_day, F.lit(_HOUR)), _MINUTE)))
    second = F.pmod(of_day, F.lit(_MINUTE))
    has_fraction = draws.chance("fraction of a second", _FRACTION_SHARE, line)
    fraction = F.when(has_fraction, F.lit(".250")).otherwise(F.lit(""))
    tail = F.when((second == 0) & ~has_fraction & (form > 5), F.lit("")).otherwise(
        F.concat(F.lit(":"), _two(second), fraction)
    )
    offset = F.col("local_seconds") - F.col("utc_seconds")
    sign = F.when(offset < 0, F.lit("-")).otherwise(F.lit("+"))
    minutes = _div(F.abs(offset), _MINUTE)
    colon = F.when(form == 5, F.lit("")).otherwise(F.lit(":"))
    zone = F.concat(sign, _two(_div(minutes, 60)), colon, _two(F.pmod(minutes, F.lit(60))))
    return F.concat(date, separator, clock, tail, F.when(in_utc, F.lit("Z")).otherwise(zone))


def _div(number: Column, by: int) -> Column:
    """Whole division of a number that is not negative."""
    return ((number - F.pmod(number, F.lit(by))) / F.lit(by)).cast("long")


def _date_of(seconds: Column) -> Column:
    return F.date_from_unix_date(_div(seconds, _DAY).cast("int")).cast("string")


def _two(number: Column) -> Column:
    return F.lpad(number.cast("string"), 2, "0")


def _product_name(plan: SyntheticPlan) -> Column:
    draws = Draws(plan.seed)
    line = F.col("id")
    name = at(Catalogue.of(plan.ranges).names, F.col("product"))
    size = F.when(
        draws.chance("quoted", plan.quoted_share, line), draws.choice("quoted size", QUOTED_SIZES, line)
    )
    size = size.otherwise(draws.choice("size", SIZES, line))
    whole = F.when(name == "", name).otherwise(F.concat(name, size))
    if plan.reject_share == 0:
        return whole
    not_utf8 = F.lit(_NOT_UTF8).cast("string")
    return F.when(is_kind("malformed_line") & (spoiling(plan) == NOT_UTF8), not_utf8).otherwise(whole)


# Ways in which a malformed line is corrupted.
CUT, LONG, NOT_UTF8 = range(3)


def spoiling(plan: SyntheticPlan) -> Column:
    """How a malformed line is corrupted: CUT, LONG or NOT_UTF8."""
    return Draws(plan.seed).below("spoiling", 3, F.col("id"))


def _scale_of(plan: SyntheticPlan) -> Column:
    return at([CURRENCY_SCALES[code] for code in plan.currencies], F.col("currency"))


def _amount(milli: Column, plan: SyntheticPlan) -> Column:
    """An amount as text, with the decimals of its currency."""
    scale = _scale_of(plan)
    size = F.abs(milli)
    rest = F.substring(F.lpad(F.pmod(size, F.lit(1_000)).cast("string"), 3, "0"), F.lit(1), scale)
    digits = F.concat(
        _div(size, 1_000).cast("string"), F.when(scale == 0, F.lit("")).otherwise(F.lit(".")), rest
    )
    return F.when(milli < 0, F.concat(F.lit("-"), digits)).otherwise(digits)


def _sign_fault(plan: SyntheticPlan, fault: int) -> Column:
    """Whether this field of the line has the wrong sign: 0 quantity, 1 gross, 2 discount."""
    return is_kind("sign_mismatch") & (Draws(plan.seed).below("sign fault", 3, F.col("id")) == fault)


def _quantity(plan: SyntheticPlan) -> Column:
    draws = Draws(plan.seed)
    line, copy = F.col("id"), F.col("copy")
    milli = F.when(_sign_fault(plan, 0), -F.col("quantity_milli")).otherwise(F.col("quantity_milli"))
    size = F.abs(milli)
    rest = F.pmod(size, F.lit(1_000))
    whole = _div(size, 1_000).cast("string")
    short = (rest == 0) & ~draws.chance("long quantity", 0.1, line, copy)
    digits = F.when(short, whole).otherwise(F.concat(whole, F.lit("."), F.lpad(rest.cast("string"), 3, "0")))
    plus = F.when(F.col("untidy") == 3, F.lit("+")).otherwise(F.lit(""))
    sign = F.when(milli < 0, F.lit("-")).otherwise(plus)
    excess = F.when(F.col("is_return"), F.lit("-1.2345")).otherwise(F.lit("1.2345"))
    return (
        F.when(is_kind("zero_quantity"), draws.choice("zero", ("0", "0.000", "-0"), line))
        .when(is_kind("excess_scale_quantity"), excess)
        .otherwise(F.concat(sign, digits))
    )


def _gross(plan: SyntheticPlan) -> Column:
    excess = F.concat(F.lit("0.0"), F.repeat(F.lit("0"), _scale_of(plan)))
    # A currency that is not allowed is written without decimals, which is valid for any scale.
    whole = _div(F.abs(F.col("gross_milli")), 1_000).cast("string")
    whole = F.when(F.col("is_return"), F.concat(F.lit("-"), whole)).otherwise(whole)
    return (
        F.when(is_kind("excess_scale_gross_amount"), excess)
        .when(is_kind("currency_not_allowed"), whole)
        .otherwise(_amount(written_gross(plan), plan))
    )


def written_gross(plan: SyntheticPlan) -> Column:
    """The gross amount as written: with the wrong sign if the line has that fault."""
    return F.when(_sign_fault(plan, 1), -F.col("gross_milli")).otherwise(F.col("gross_milli"))


def _discount(plan: SyntheticPlan) -> Column:
    draws = Draws(plan.seed)
    scale = _scale_of(plan)
    sign = F.when(F.col("is_return"), F.lit("-")).otherwise(F.lit(""))
    # Smaller than any amount except 0, so that only its decimals are wrong.
    excess = F.concat(sign, F.lit("0."), F.repeat(F.lit("0"), scale), F.lit("1"))
    against = F.when(F.col("is_return"), F.col("unit")).otherwise(-F.col("unit"))
    no_discount = draws.choice("no discount", ("", "0"), F.col("id"))
    return (
        F.when(is_kind("excess_scale_discount_amount"), excess)
        .when(_sign_fault(plan, 2), _amount(against, plan))
        .when(F.col("discount_milli") == 0, no_discount)
        .otherwise(_amount(F.col("discount_milli"), plan))
    )


def _currency(plan: SyntheticPlan) -> Column:
    code = at(list(plan.currencies), F.col("currency"))
    return F.when(is_kind("currency_not_allowed"), F.lit(plan.foreign_currency)).otherwise(code)
