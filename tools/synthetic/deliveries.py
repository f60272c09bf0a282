"""Decides which lines are delivered, when, and in which file: the narrow table that all else follows from.

A base line has one fate: plain, rejected, or delivered again as a duplicate, a conflict or a late resend. Its
lateness is drawn independently of its fate, so an adjustment may also have a duplicate. The truth needs no
rule for ties: a copy with another payload comes in a later drop than the line that it contradicts, or in a
later file of the same drop.
"""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from tools.synthetic.draws import Draws, at
from tools.synthetic.plan import SyntheticPlan

# Fates of a base line.
PLAIN, REJECTED, DUPLICATED, CONTRADICTED, RESENT = range(5)

# Each block of 12 lines holds transactions of 1, 2, 3 and 6 lines. For each line of a block: its transaction
# within the block, and its number within the transaction.
_BLOCK_TRANSACTION = (0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3)
_BLOCK_LINE = (1, 1, 2, 1, 2, 3, 1, 2, 3, 4, 5, 6)
_TRANSACTIONS_PER_BLOCK = 4
_LINES_PER_BLOCK = len(_BLOCK_LINE)

_SECOND_DUPLICATE_SHARE = 0.1
_LONGEST_VERY_LATE_SPREAD = 14

_ROWS_PER_PARTITION = 500_000

_EPOCH = date(1970, 1, 1)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - _EPOCH).days


def with_fate(lines: DataFrame, plan: SyntheticPlan) -> DataFrame:
    """Add transaction, line_number, sale_day and fate: the columns that all copies of a line share."""
    draws = Draws(plan.seed)
    line = F.col("id")
    shares = (plan.reject_share, plan.duplicate_share, plan.conflict_share, plan.late_resend_share)
    in_block = F.pmod(line, F.lit(_LINES_PER_BLOCK))
    fate_draw = draws.unit("fate", line)
    fate = F.when(fate_draw < F.lit(shares[0]), REJECTED)
    for kind, edge in ((DUPLICATED, sum(shares[:2])), (CONTRADICTED, sum(shares[:3])), (RESENT, sum(shares))):
        fate = fate.when(fate_draw < F.lit(edge), kind)
    transaction = F.expr(f"id div {_LINES_PER_BLOCK}") * _TRANSACTIONS_PER_BLOCK + at(
        _BLOCK_TRANSACTION, in_block
    )
    return (
        lines.withColumn("transaction", transaction)
        .withColumns({"line_number": at(_BLOCK_LINE, in_block), "fate": fate.otherwise(PLAIN)})
        .withColumn(
            "sale_day",
            F.lit(day_number(plan.first_date)) + draws.below("sale date", plan.days, F.col("transaction")),
        )
    )


def with_lateness(lines: DataFrame, plan: SyntheticPlan) -> DataFrame:
    """Add first_lateness and lateness, in days: of the line's first delivery and of this delivery.

    Lateness is null if this delivery would come after the last drop.
    """
    draws = Draws(plan.seed)
    line, copy, fate = F.col("id"), F.col("copy"), F.col("fate")
    room, first = F.col("room"), F.col("first_lateness")
    late_draw = draws.unit("lateness", line)
    drawn = (
        F.when(fate == REJECTED, F.lit(0))
        .when(late_draw < F.lit(plan.late_share), 1 + draws.below("late by", max(plan.late_days, 1), line))
        .when(
            late_draw < F.lit(plan.late_share + plan.very_late_share),
            plan.late_days + 1 + draws.below("very late by", _LONGEST_VERY_LATE_SPREAD, line),
        )
        .otherwise(F.lit(0))
    )
    last_in_time = F.least(room, F.lit(plan.late_days).cast("long"))
    can_follow = first < last_in_time
    later = first + 1 + draws.below("copy late by", F.greatest(last_in_time - first, F.lit(1)), line, copy)
    duplicate = F.when(
        can_follow & draws.chance("duplicate in a later drop", 1 / 3, line, copy), later
    ).otherwise(first)
    conflict = F.when(can_follow & draws.chance("conflict in a later drop", 2 / 3, line), later)
    if plan.files > 1:
        conflict = conflict.otherwise(first)
    elif plan.files == 1:
        conflict = F.when(can_follow, later)
    resend = F.greatest(first, F.lit(plan.late_days).cast("long")) + 1
    resend = resend + draws.below("resend late by", _LONGEST_VERY_LATE_SPREAD, line)
    lateness = (
        F.when(copy == 0, first)
        .when(fate == DUPLICATED, duplicate)
        .when(fate == CONTRADICTED, conflict)
        .when(resend <= room, resend)
    )
    return (
        lines.withColumn("room", F.lit(day_number(plan.last_drop)) - F.col("sale_day"))
        .withColumn("first_lateness", F.when(drawn <= room, drawn).otherwise(F.lit(0)))
        .withColumn("lateness", lateness)
        .drop("room")
    )


def with_file(lines: DataFrame, plan: SyntheticPlan) -> DataFrame:
    """Add drop_day, file and position: where this delivery is in the landing."""
    draws = Draws(plan.seed)
    line, copy, fate = F.col("id"), F.col("copy"), F.col("fate")
    files = plan.files
    first_file = draws.below("file", files, line)
    file = first_file
    if files > 1:
        last = F.lit(files - 1).cast("long")
        other_file = F.pmod(first_file + 1 + draws.below("other file", files - 1, line, copy), F.lit(files))
        copied = F.when(draws.chance("duplicate in another file", 0.5, line, copy), other_file).otherwise(
            first_file
        )
        file = (
            F.when((fate == CONTRADICTED) & (copy == 0), draws.below("file", last, line))
            .when((fate == CONTRADICTED) & (F.col("lateness") == F.col("first_lateness")), last)
            .when(copy > 0, copied)
            .otherwise(first_file)
        )
    # Spread copies over the file, so that they are not next to their line.
    position = F.when(copy == 0, line).otherwise(draws.below("position", max(plan.rows, 1), line, copy))
    return lines.withColumns(
        {
            "drop_day": F.col("sale_day") + F.col("lateness"),
            "file": file.cast("int"),
            "position": position,
        }
    )


def deliveries(spark: SparkSession, plan: SyntheticPlan, partitions: int | None = None) -> DataFrame:
    """Every delivered line: id, copy, position, drop_day, file and the columns that decide them.

    Args:
        spark: session.
        plan: the plan.
        partitions: Spark partitions to draw in; the lines do not depend on it.
    """
    count = partitions or max(2, -(-plan.rows // _ROWS_PER_PARTITION))
    draws = Draws(plan.seed)
    base = with_fate(spark.range(0, plan.rows, 1, count), plan)
    copied = F.col("fate").isin(DUPLICATED, CONTRADICTED, RESENT)
    twice = (F.col("fate") == DUPLICATED) & draws.chance(
        "second duplicate", _SECOND_DUPLICATE_SHARE, F.col("id")
    )
    numbers = F.when(twice, F.array(F.lit(1), F.lit(2))).otherwise(F.array(F.lit(1)))
    copies = with_lateness(base.where(copied).withColumn("copy", F.explode(numbers)), plan)
    first = with_lateness(base.withColumn("copy", F.lit(0)), plan)
    return with_file(first.unionByName(copies.where(F.col("lateness").isNotNull())), plan)


def is_adjustment(plan: SyntheticPlan) -> Column:
    """Whether a delivery is too late for its sale date."""
    return F.col("lateness") > F.lit(plan.late_days)
