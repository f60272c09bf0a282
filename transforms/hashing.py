"""Hashes of a line's key and of its payload: the same on every retry and in every run."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.landing import RECEIVED_NAMES

# The numbers of a receipt are used again on other days, so the sale date is part of the key.
KEY_COLUMNS = ("store_id", "transaction_id", "line_number", "sale_date")

# xxhash64 passes over a null, so that (X, null) and (null, X) would be one hash: a null text is hashed as a
# value that no sale carries.
_ABSENT_TEXT = "\x00absent"
_NULLABLE_TEXT = ("customer_id", "product_name", "category", "payment_method", "channel")


ValueOf = Callable[[str], Column]


def key_hash(value_of: ValueOf = F.col) -> Column:
    """bigint: hash of (store_id, transaction_id, line_number, sale_date).

    Args:
        value_of: typed value of a received column, or the sale date, by name.
    """
    return F.xxhash64(*[value_of(name) for name in KEY_COLUMNS])


def payload_hash(value_of: ValueOf = F.col) -> Column:
    """bigint: hash of every received column as typed; 0 discount and none are the same line.

    Args:
        value_of: typed value of a received column, by name.
    """
    values = [
        F.coalesce(value_of(name), F.lit(_ABSENT_TEXT)) if name in _NULLABLE_TEXT else value_of(name)
        for name in RECEIVED_NAMES
    ]
    return F.xxhash64(*values)
