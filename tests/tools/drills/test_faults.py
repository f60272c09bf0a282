"""Where drivers are killed: around each commit, in the order in which a run makes them."""

from __future__ import annotations

from dataclasses import replace

from schemas.gold import DAILY_SALES, INVOICES
from tools.drills.faults import driver_kills


def test_every_gold_table_is_killed_at_in_the_order_of_the_stages() -> None:
    own = replace(DAILY_SALES, name="gold/own", digest="a")
    kills = driver_kills([DAILY_SALES, INVOICES, own])
    assert kills[:2] == ("before:ledger/runs:1", "after:ledger/runs:1")
    assert kills[14:] == (
        "before:gold/daily_sales:1",
        "after:gold/daily_sales:1",
        "after:ledger/builds:1",
        "before:gold/own:1",
        "after:gold/own:1",
        "after:ledger/builds:1",
        "before:gold/invoices:1",
        "after:gold/invoices:1",
        "before:ledger/builds:1",
        "before:ledger/runs:2",
        "after:ledger/runs:2",
    )
