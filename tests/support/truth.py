"""Holds a lake against the truth.json of the drops that it was made from, figure by figure."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

_SUMMED = ("lines", "units", "gross_amount", "discount_amount", "net_amount", "returns_amount")
SHARES = ("received", "published", "duplicates", "conflicts")


def differences_from_truth(spark: SparkSession, lake: str, truth_path: str) -> list[str]:
    """Every figure of the truth that the tables do not hold, in words; an empty list is a match.

    Sums are taken here by queries of their own over silver and gold; of the ledger only what it alone
    tells (lines received, left out, rejected) is believed, and held against the truth as well.
    """
    truth = json.loads(Path(truth_path).read_text(encoding="utf-8"))

    def table(name: str) -> DataFrame:
        return spark.read.format("delta").load(f"{lake}/{name}")

    found: list[str] = []
    found += _compare("drops", _drops(truth), _found_drops(table("bronze/received_sales")))
    found += _compare("chunks", _chunks(truth), _found_chunks(table("ledger/chunks")))
    found += _compare("published", _published(truth), _found_published(table("silver/sales")))
    found += _compare("left out", _left_out(truth), _found_left_out(table("silver/conflicts")))
    found += _compare("daily", _amounts(truth), _found_amounts(table("gold/daily_sales")))
    found += _compare("invoices", _invoices(truth), _found_invoices(table("gold/invoices")))
    return found


def _compare(name: str, wanted: dict[Any, Any], got: dict[Any, Any]) -> list[str]:
    return [
        f"{name} {key}: truth {wanted.get(key)}, found {got.get(key)}"
        for key in sorted(wanted.keys() | got.keys(), key=str)
        if wanted.get(key) != got.get(key)
    ]


def _drops(truth: dict[str, Any]) -> dict[Any, Any]:
    return {
        date: (drop["accepted"], drop["rejected"], {k: n for k, n in drop["rejected_by_reason"].items() if n})
        for date, drop in truth["drops"].items()
        if drop["lines"]
    }


def _found_drops(received: DataFrame) -> dict[Any, Any]:
    lines: Counter[tuple[str, str]] = Counter()
    for row in received.groupBy("drop_date", "validation_status").count().collect():
        lines[row.drop_date.isoformat(), row.validation_status] = row["count"]
    reasons: dict[str, dict[str, int]] = {}
    exploded = received.select("drop_date", F.explode("reject_reasons").alias("reason"))
    for row in exploded.groupBy("drop_date", "reason").count().collect():
        reasons.setdefault(row.drop_date.isoformat(), {})[row.reason] = row["count"]
    return {
        date: (lines[date, "accepted"], lines[date, "rejected"], reasons.get(date, {})) for date, _ in lines
    }


def _chunks(truth: dict[str, Any]) -> dict[Any, Any]:
    return {
        (date, chunk, currency): _measures(cell)
        for date, day in truth["dates"].items()
        for chunk, currencies in day["chunks"].items()
        for currency, cell in currencies.items()
        if cell["received"]
    }


def _found_chunks(chunks: DataFrame) -> dict[Any, Any]:
    return {
        (row.business_date.isoformat(), row.chunk, row.currency): _measures(row.asDict())
        for row in chunks.collect()
    }


def _measures(cell: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(
        value
        for share in SHARES
        for value in (
            cell[share],
            Decimal(cell[f"gross_{share}"]),
            Decimal(cell[f"absolute_gross_{share}"]),
        )
    )


def _published(truth: dict[str, Any]) -> dict[Any, Any]:
    return {
        (date, chunk, currency): (cell["published"], Decimal(cell["gross_published"]))
        for date, day in truth["dates"].items()
        for chunk, currencies in day["chunks"].items()
        for currency, cell in currencies.items()
        if cell["published"]
    }


def _found_published(sales: DataFrame) -> dict[Any, Any]:
    grain = ("business_date", "chunk", "currency")
    rows = sales.groupBy(*grain).agg(F.count("*").alias("lines"), F.sum("gross_amount").alias("gross"))
    return {
        (row.business_date.isoformat(), row.chunk, row.currency): (row.lines, row.gross)
        for row in rows.collect()
    }


def _left_out(truth: dict[str, Any]) -> dict[Any, Any]:
    wanted = {}
    for date, day in truth["dates"].items():
        late = (day["late_duplicates"], day["late_conflicts"])
        outcomes = (day["conflicts"] - day["late_conflicts"], *late)
        if any(outcomes):
            wanted[date] = outcomes
    return wanted


def _found_left_out(conflicts: DataFrame) -> dict[Any, Any]:
    counts: dict[str, Counter[str]] = {}
    for row in conflicts.groupBy("business_date", "outcome").count().collect():
        counts.setdefault(row.business_date.isoformat(), Counter())[row.outcome] = row["count"]
    return {
        date: (count["conflict"], count["late_duplicate"], count["late_conflict"])
        for date, count in counts.items()
    }


def _amounts(truth: dict[str, Any]) -> dict[Any, Any]:
    return {
        (date, currency): tuple(Decimal(amounts[name]) for name in _SUMMED)
        for date, day in truth["dates"].items()
        for currency, amounts in day["amounts"].items()
        if amounts["lines"]
    }


def _found_amounts(daily: DataFrame) -> dict[Any, Any]:
    sums = daily.groupBy("business_date", "currency").agg(*[F.sum(name).alias(name) for name in _SUMMED])
    return {
        (row.business_date.isoformat(), row.currency): tuple(Decimal(row[name]) for name in _SUMMED)
        for row in sums.collect()
    }


def _invoices(truth: dict[str, Any]) -> dict[Any, Any]:
    return {date: day["invoices"] for date, day in truth["dates"].items() if day["invoices"]}


def _found_invoices(invoices: DataFrame) -> dict[Any, Any]:
    return {
        row.business_date.isoformat(): row["count"]
        for row in invoices.groupBy("business_date").count().collect()
    }
