"""Facts of runs, made by hand."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from pipeline.planning.attempts import ChunkAttempt
from pipeline.planning.reconciliation import Balance, ControlTotals, ReconciliationKey
from pipeline.report.pages.facts import (
    BilledFacts,
    ChunkTaskFacts,
    DateFacts,
    DropFacts,
    HotKey,
    RunFacts,
    StageFacts,
)
from schemas.gold import INVOICES

MONDAY, TUESDAY = dt.date(2026, 3, 2), dt.date(2026, 3, 3)
BEGAN = dt.datetime(2026, 3, 3, 4, 0, tzinfo=dt.UTC)


def totals(lines: int, gross: str) -> ControlTotals:
    return ControlTotals(lines, Decimal(gross), abs(Decimal(gross)))


def balance(received: int, published: int, duplicates: int = 0, conflicts: int = 0) -> Balance:
    """A balance at 10 a line."""
    lines = {"received": received, "published": published, "duplicates": duplicates, "conflicts": conflicts}
    return Balance(**{name: totals(n, f"{n * 10}.00") for name, n in lines.items()})


def attempt(partition: int, number: int = 1, chunk: str = "A-G", **fields: Any) -> ChunkAttempt:
    """An attempt that could start at 0 and ran a second from then."""
    values: dict[str, Any] = {
        "worker": "1 on host-a",
        "state": "SUCCESS",
        "ready_ms": 0,
        "started_ms": 0,
        "ended_ms": 1000,
        "lines": 100,
    }
    return ChunkAttempt(chunk=chunk, partition=partition, number=number, **(values | fields))


def run(**fields: Any) -> RunFacts:
    """A night that read 100 lines of Monday: 90 accepted and 10 rejected; billed 60 of 80 published."""
    values: dict[str, Any] = {
        "run_id": "20260303T040000-run_batch-0a0b0c0d",
        "job": "run_batch",
        "status": "done",
        "exit_code": 0,
        "error": None,
        "started_at": BEGAN,
        "ended_at": BEGAN + dt.timedelta(seconds=90),
        "arguments": [
            "--landing",
            "l",
            "--lake",
            "k",
            "--set",
            "currencies=[USD, JPY]",
            "--date",
            "2026-03-02",
        ],
        "target": "local",
        "code_version": "0.2.0+12345678",
        "lake": "file:///lake",
        "landing": "file:///landing",
        "drops": [DropFacts(MONDAY, "ingested", 100, 90, 10, content={MONDAY: 90})],
        "dates": [DateFacts(MONDAY, "done", 1)],
        "balances": {
            ReconciliationKey(MONDAY, "A-G", "USD"): balance(60, 54, 5, 1),
            ReconciliationKey(MONDAY, "other", "USD"): balance(30, 26, 4, 0),
        },
        "tasks": [
            ChunkTaskFacts("A-G", 2, 3, 1, 3.5, ("host-a: it broke",)),
            ChunkTaskFacts("other", 1, 1, 0, 1.0),
        ],
        "attempts": [
            attempt(0, state="FAILED", lines=0, cause="java.lang.RuntimeException: it broke"),
            attempt(0, 2, ready_ms=1000, started_ms=1500, ended_ms=2500),
            attempt(1, worker="2 on host-b", ended_ms=1200, lines=140),
            attempt(2, chunk="other", worker="2 on host-b", started_ms=1300, ended_ms=2000, lines=26),
        ],
        "stages": [StageFacts("publish_sales", 1, 90, 40.0, BEGAN, None, None, 20.0, 3)],
        "built": {INVOICES.name: [MONDAY]},
        "rejected": {"bad_quantity": 7, "missing_store_id": 3},
        "billed": BilledFacts({MONDAY: 60}),
        "hot_key": HotKey("product_name", "Apple", 30, 80, "gold/weekly_product_sales"),
        "settings": [("late.days", "3", "7")],
        "warnings": ["a warning"],
    }
    return RunFacts(**(values | fields))
