"""Hashes a line's key and its payload. The hashes are the same on every retry and in every run."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.landing import ReceivedColumn, received_columns

# Stores use receipt numbers again on other days, so the sale date is part of the key.
KEY_COLUMNS = ("store_id", "transaction_id", "line_number", "sale_date")

# xxhash64 skips nulls, so (X, null) and (null, X) would have the same hash. Hash a null text as a value that
# no sale contains.
_ABSENT_TEXT = "\x00absent"

ValueOf = Callable[[str], Column]


def key_hash(value_of: ValueOf = F.col) -> Column:
    """bigint: hash of (store_id, transaction_id, line_number, sale_date).

    Args:
        value_of: returns the typed value of a received column, or the sale date, by name.
    """
    return F.xxhash64(*[value_of(name) for name in KEY_COLUMNS])


def payload_hash(value_of: ValueOf = F.col) -> Column:
    """bigint: hash of the typed values of all payload columns.

    A missing discount is typed as 0, so both give the same hash.

    Args:
        value_of: returns the typed value of a received column by name.
    """
    return F.xxhash64(*[_hashed(column, value_of) for column in received_columns() if column.is_payload])


def _hashed(column: ReceivedColumn, value_of: ValueOf) -> Column:
    value = value_of(column.name)
    if column.is_added:
        # A null adds nothing to the hash, so lines that were received before the column existed keep their
        # hash. The name distinguishes two such columns.
        return F.when(value.isNotNull(), F.xxhash64(F.lit(column.name), value))
    if column.kind == "text" and not column.required:
        return F.coalesce(value, F.lit(_ABSENT_TEXT))
    return value
