"""Sums of decimals, exact and quick."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

# Spark adds decimals of at most 8 digits as whole numbers, wider ones as objects that grow: 3 times the CPU.
_NARROW = "decimal(8,3)"
# A whole number: Spark compares a decimal with a literal that has a point by way of two objects a row.
_WIDE_FROM = "100000"


def exact_sum(amount: str, where: str = "true") -> Column:
    """decimal(38,3): sum of an amount over the rows of a group; 0 where there are none. For ``agg`` only.

    Amounts that are narrow enough, which is nearly all, are added up apart from the others. It fails, and
    does not wrap around, where the narrow ones of one group add up to 10^15: ten billion rows of the largest.

    Args:
        amount: SQL of it, as the name of a column: a decimal with at most 3 decimals.
        where: SQL condition on the rows that count.
    """
    narrow = f"sum(try_cast({amount} as {_NARROW})) filter (where {where})"
    wide = f"sum({amount}) filter (where {where} and abs({amount}) >= {_WIDE_FROM})"
    return F.expr(f"cast(coalesce({narrow}, 0) + coalesce({wide}, 0) as decimal(38,3))")
