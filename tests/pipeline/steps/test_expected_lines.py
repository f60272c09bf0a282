"""How many lines an ingest is expected to work on, by the sizes of its files and by what it may put back."""

from __future__ import annotations

import datetime as dt

import pytest

from pipeline.planning.staleness import AcceptedDelivery, DropState
from pipeline.steps.ingest import most_lines
from schemas.drops import DateContent, Drop, LandedFile
from schemas.states import DropStatus

MON, TUE = dt.date(2026, 3, 2), dt.date(2026, 3, 3)
BYTES_PER_LINE = 100.0


def drop(name: str, size: int) -> Drop:
    return Drop(TUE, (LandedFile(name, f"file:/landing/{name}", size, "1"),))


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a.csv", 60),
        ("a.json", 60),
        ("a.csv.gz", 3000),
        ("A.CSV.GZ", 3000),
        ("a.zip", 3000),
        ("a.parquet", 3000),
    ],
)
def test_packed_files_may_hold_many_lines(name: str, lines: int) -> None:
    assert most_lines([drop(name, 6000)], {}, BYTES_PER_LINE) == lines


def test_what_an_audit_may_put_back_counts() -> None:
    contents = tuple(DateContent(date, date, False, 400_000, "d") for date in (MON, TUE))
    known = {
        date: DropState(date, DropStatus.INGESTED, "f", AcceptedDelivery("f", contents, 1))
        for date in (MON, TUE)
    }
    assert most_lines([drop("a.csv", 6000)], known, BYTES_PER_LINE) == 800_060
