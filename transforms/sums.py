"""Sums decimals exactly and fast."""

from __future__ import annotations

import re

from pyspark.sql import Column
from pyspark.sql import functions as F

# Spark adds decimals of at most 8 digits as integers. Wider decimals are objects and cost 3 times the CPU.
NARROW = "decimal(8,3)"
# An integer literal: with a decimal point, the comparison would create two objects per row.
_WIDE_FROM = "100000"
_CALL = re.compile(
    r"\bexact_sum\(\s*(?P<amount>[\w.`]+)\s*(?:,\s*(?P<where>[^()]+?)\s*)?\)", flags=re.IGNORECASE
)


def exact_sum(amount: str, where: str = "true") -> Column:
    """decimal(38,3): sum of an amount over the rows of a group; 0 for no rows. For ``agg`` only.

    Nearly all amounts are narrow. They are summed apart from the wide amounts. The query fails, and does not
    wrap around, if the narrow amounts of one group reach 10^15: ten billion rows of the largest.

    Args:
        amount: SQL expression, for example a column name: a decimal with at most 3 decimals.
        where: SQL condition on the rows to sum.
    """
    return F.expr(_exact_sum(amount, where))


def expand_exact_sums(query: str) -> str:
    """Replaces each ``exact_sum(column)`` and ``exact_sum(column, condition)`` in SQL: see :func:`exact_sum`.

    The condition has no parenthesis.
    """
    return _CALL.sub(lambda call: _exact_sum(call["amount"], call["where"] or "true"), query)


def summed_exactly(query: str) -> set[str]:
    """Names of the columns of which SQL takes an ``exact_sum``, in lower case."""
    calls = _CALL.finditer(query)
    return {call["amount"].rpartition(".")[2].strip("`").lower() for call in calls}


def _exact_sum(amount: str, where: str) -> str:
    narrow = f"sum(try_cast({amount} as {NARROW})) filter (where {where})"
    wide = f"sum({amount}) filter (where ({where}) and abs({amount}) >= {_WIDE_FROM})"
    return f"cast(coalesce({narrow}, 0) + coalesce({wide}, 0) as decimal(38,3))"
