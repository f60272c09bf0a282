"""The values of a line, from which its text and the truth are made.

Amounts and quantities are whole thousandths. Sums of long integers are exact and share no decimal arithmetic
with the code under test.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tools.synthetic.catalogue import CATEGORIES, LETTERS, NAMES_PER_LETTER, Catalogue
from tools.synthetic.deliveries import CONTRADICTED, REJECTED, RESENT
from tools.synthetic.draws import Draws, at
from tools.synthetic.plan import CURRENCY_SCALES, REJECT_KINDS, SyntheticPlan

WALK_IN = 0
HOT_CUSTOMER = 1

NOT_REJECTED = -1

# How a copy with another payload differs.
CHANGED_AMOUNT, CHANGED_PRODUCT, CHANGED_QUANTITY = range(3)
UNCHANGED = -1

_ZERO_AMOUNT_SHARE = 0.002
_WEIGHED_SHARE = 0.1
_HIGHEST_PRICE = 3_000
_FULL_DISCOUNT_SHARE = 0.02


def kind_numbers(part: str) -> tuple[int, ...]:
    """Numbers of the kinds of rejected line that have ``part`` among their reasons."""
    return tuple(number for number, kind in enumerate(REJECT_KINDS) if part in kind.split("+"))


def is_kind(*parts: str) -> Column:
    """Whether the line must be rejected for one of these reasons."""
    numbers = sorted({number for part in parts for number in kind_numbers(part)})
    return F.col("kind").isin(*numbers)


def with_kind(lines: DataFrame, plan: SyntheticPlan) -> DataFrame:
    """Add kind: the number of the kind of rejected line, or -1."""
    if plan.reject_share == 0:
        return lines.withColumn("kind", F.lit(NOT_REJECTED))
    used = [kind for kind in REJECT_KINDS if plan.rejects.get(kind, 0.0) > 0]
    drawn = Draws(plan.seed).weighted("reject kind", [plan.rejects[kind] for kind in used], F.col("id"))
    number = at([REJECT_KINDS.index(kind) for kind in used], drawn)
    return lines.withColumn("kind", F.when(F.col("fate") == REJECTED, number).otherwise(F.lit(NOT_REJECTED)))


def with_change(lines: DataFrame, plan: SyntheticPlan) -> DataFrame:
    """Add change: how this copy differs from the line's first delivery, or -1."""
    draws = Draws(plan.seed)
    line, fate = F.col("id"), F.col("fate")
    resent_changed = (fate == RESENT) & draws.chance("resend changed", plan.late_resend_changed_share, line)
    differs = (F.col("copy") > 0) & ((fate == CONTRADICTED) | resent_changed)
    change = F.when(differs, draws.below("change", 3, line).cast("int")).otherwise(F.lit(UNCHANGED))
    return lines.withColumn("change", change)


def with_product(lines: DataFrame, plan: SyntheticPlan) -> DataFrame:
    """Add product: an index into the catalogue."""
    draws = Draws(plan.seed)
    line = F.col("id")
    catalogue = Catalogue.of(plan.ranges)
    draw = draws.unit("product group", line)
    plain = len(LETTERS) * NAMES_PER_LETTER
    hot, other = plan.letter_skew, plan.letter_skew + plan.other_share
    first_hot = LETTERS.index(plan.hot_letter) * NAMES_PER_LETTER
    product = (
        F.when(draw < F.lit(plan.hot_product_share), first_hot)
        .when(draw < F.lit(hot), first_hot + draws.below("hot product", NAMES_PER_LETTER, line))
        .when(
            draw < F.lit(other), catalogue.other_start + draws.below("product", catalogue.other_count, line)
        )
        .when(
            draw < F.lit(other + plan.accented_share),
            catalogue.accented_start + draws.below("product", catalogue.accented_count, line),
        )
        .otherwise(draws.below("product", plain, line))
    )
    count = len(catalogue.names)
    moved = F.pmod(product + 1 + draws.below("other product", count - 1, line), F.lit(count))
    return lines.withColumn("product", F.when(F.col("change") == CHANGED_PRODUCT, moved).otherwise(product))


def with_party(lines: DataFrame, plan: SyntheticPlan) -> DataFrame:
    """Add customer and currency (an index), which the lines of a transaction share."""
    draws = Draws(plan.seed)
    transaction = F.col("transaction")
    draw = draws.unit("customer group", transaction)
    customer = F.when(draw < F.lit(plan.walk_in_share), F.lit(WALK_IN)).when(
        draw < F.lit(plan.walk_in_share + plan.hot_customer_share), F.lit(HOT_CUSTOMER)
    )
    ordinary = HOT_CUSTOMER + draws.below("customer", plan.customers, transaction)
    return lines.withColumns(
        {
            "customer": customer.otherwise(ordinary).cast("int"),
            "currency": draws.weighted("currency", list(plan.currencies.values()), transaction),
        }
    )


def with_amounts(lines: DataFrame, plan: SyntheticPlan) -> DataFrame:
    """Add is_return, quantity_milli, gross_milli and discount_milli, signed."""
    draws = Draws(plan.seed)
    line, kind, change = F.col("id"), F.col("kind"), F.col("change")
    unit = at([10 ** (3 - CURRENCY_SCALES[code]) for code in plan.currencies], F.col("currency")).cast("long")
    rejected = kind != NOT_REJECTED
    weighed = draws.chance("weighed", _WEIGHED_SHARE, line)
    quantity = F.when(weighed, 1 + draws.below("weight", 4_000, line)).otherwise(
        1_000 * (1 + draws.below("quantity", 5, line))
    )
    quantity = quantity + F.when(change == CHANGED_QUANTITY, F.lit(1_000)).otherwise(F.lit(0))
    # Lines rejected for excess decimals or as malformed have an amount of 0, so that control totals do not
    # depend on whether such a line counts as parsed.
    is_zero = is_kind("excess_scale_gross_amount", "malformed_line")
    free = ~rejected & draws.chance("free", _ZERO_AMOUNT_SHARE, line)
    priced = (
        (1 + draws.below("price", _HIGHEST_PRICE, line))
        * (1 + draws.below("quantity", 5, line))
        * F.col("unit")
    )
    whole = 1_000 * (1 + draws.below("price", _HIGHEST_PRICE, line))
    gross = F.when(is_zero | free, F.lit(0)).when(is_kind("currency_not_allowed"), whole).otherwise(priced)
    gross = gross + F.when(change == CHANGED_AMOUNT, F.col("unit")).otherwise(F.lit(0))
    no_discount = is_kind(
        "missing_gross_amount", "bad_gross_amount", "excess_scale_gross_amount", "malformed_line",
        "currency_not_allowed", "sign_mismatch",
    )  # fmt: skip
    percent = F.when(draws.chance("full discount", _FULL_DISCOUNT_SHARE, line), F.lit(100)).otherwise(
        1 + draws.below("discount percent", 60, line)
    )
    part = F.expr("gross_milli * percent div (100 * unit) * unit")
    discount = (
        F.when(is_kind("discount_exceeds_gross"), F.col("gross_milli") + F.col("unit"))
        .when(no_discount | ~draws.chance("discount", plan.discount_share, line), F.lit(0))
        .otherwise(part)
    )
    sign = F.when(F.col("is_return"), F.lit(-1)).otherwise(F.lit(1))
    return (
        lines.withColumns(
            {
                "unit": unit,
                "percent": percent,
                "is_return": draws.chance("return", plan.return_share, line),
            }
        )
        .withColumns({"quantity_milli": quantity, "gross_milli": gross})
        .withColumn("discount_milli", discount)
        .withColumns(
            {name: F.col(name) * sign for name in ("quantity_milli", "gross_milli", "discount_milli")}
        )
        .drop("percent")
    )


def with_values(lines: DataFrame, plan: SyntheticPlan) -> DataFrame:
    """Add all values of a delivery."""
    for step in (with_kind, with_change, with_product, with_party, with_amounts):
        lines = step(lines, plan)
    return lines


def category_of(product: Column) -> Column:
    """The category of a product."""
    return at(CATEGORIES, F.pmod(product, F.lit(len(CATEGORIES))))
