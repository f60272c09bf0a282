"""Compares two revisions: which lines and invoices were added, removed or changed."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.tables import SUM

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
# Columns about the origin and the copies of a line, and the revision number, do not count as a change.
_NOT_COMPARED = ("business_date", "drop_date", "source_file", "duplicates", "chunk", "sales_revision")


def compare(
    before: DataFrame, after: DataFrame, key: Sequence[str], period: str = "business_date"
) -> DataFrame:
    """Returns the rows that differ between two versions of a table.

    Args:
        before: rows of the earlier version.
        after: rows of the later version, with the same columns.
        key: columns that identify a row in each version.
        period: date column, the same in all rows.

    Returns:
        One row per key that differs: the key; ``change`` text (``added``, ``removed``, ``changed``);
        ``changed_columns`` array<text>, sorted, null unless the row changed; currency; ``gross_before``,
        ``gross_after``, ``net_before``, ``net_after`` decimal, null for a version without the row. Columns
        about the origin of a line are not compared. A table without a currency or an amount has null there.
    """
    old, new = before.alias("old"), after.alias("new")
    same_key = [F.col(f"old.{name}").eqNullSafe(F.col(f"new.{name}")) for name in key]
    joined = old.join(new, same_key, "full_outer")
    values = [name for name in before.columns if name not in (*key, period, *_NOT_COMPARED)]
    changed_columns = F.array_sort(F.array_compact(F.array(*[_name_if_changed(name) for name in values])))
    is_old, is_new = (F.col(f"{side}.{period}").isNotNull() for side in ("old", "new"))
    change = F.when(~is_old, F.lit(ADDED)).when(~is_new, F.lit(REMOVED)).otherwise(F.lit(CHANGED))
    rows = joined.select(
        *[F.coalesce(f"old.{name}", f"new.{name}").alias(name) for name in key],
        change.alias("change"),
        F.when(is_old & is_new, changed_columns).alias("changed_columns"),
        *([] if "currency" in key else [_currency(before).alias("currency")]),
        *[
            _amount(before, side, f"{amount}_amount").alias(f"{amount}_{name}")
            for amount in ("gross", "net")
            for side, name in (("old", "before"), ("new", "after"))
        ],
    )
    return rows.filter((F.col("change") != CHANGED) | (F.size("changed_columns") > 0))


def count_changes(differences: DataFrame) -> DataFrame:
    """Counts the changed rows and sums the change in net amount.

    Args:
        differences: rows of :func:`compare`.

    Returns:
        One row per (change, currency): lines bigint, net decimal (after minus before).
    """
    net_change = F.coalesce("net_after", F.lit(0)) - F.coalesce("net_before", F.lit(0))
    return differences.groupBy("change", "currency").agg(
        F.count(F.lit(1)).alias("lines"), F.sum(net_change).alias("net")
    )


def _currency(rows: DataFrame) -> Column:
    if "currency" not in rows.columns:
        return F.lit(None).cast("string")
    return F.coalesce("new.currency", "old.currency")


def _amount(rows: DataFrame, side: str, name: str) -> Column:
    return F.col(f"{side}.{name}") if name in rows.columns else F.lit(None).cast(SUM)


def _name_if_changed(name: str) -> Column:
    return F.when(~F.col(f"old.{name}").eqNullSafe(F.col(f"new.{name}")), F.lit(name))
