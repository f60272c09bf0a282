"""Reconciliation to the last digit, and the audit of a drop."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal

import pytest

from pipeline.planning.audit import Refusal, audit_drop
from pipeline.planning.reconciliation import (
    Balance,
    ControlTotals,
    ReconciliationKey,
    conflict_ratios,
    reconcile,
    totals_by,
    unreconciled_dates,
)
from schemas.drops import Drop, IngestedDrop, Manifest, ManifestFile
from schemas.states import ConflictOutcome, DropReason

DAY, NEXT = dt.date(2026, 11, 27), dt.date(2026, 11, 28)
CELL = ReconciliationKey(DAY, "A-G", "USD")
# 35 digits before the point: all that decimal(38,3) holds.
MOST = Decimal("99999999999999999999999999999999999.999")


def measure(lines: int, gross: str | Decimal = "0", absolute: str | Decimal | None = None) -> ControlTotals:
    return ControlTotals(lines, Decimal(gross), Decimal(gross if absolute is None else absolute))


def test_measures_are_added_exactly() -> None:
    total = measure(1, MOST) + measure(1, "0.001")
    assert total.gross == Decimal("100000000000000000000000000000000000.000")
    one = "10000000000000000000000000000000000.001"
    assert (measure(1, one) + measure(1, "0.001")).gross == Decimal("10000000000000000000000000000000000.002")
    assert (measure(1, MOST) + measure(1, "-99999999999999999999999999999999999.998")).gross == Decimal(
        "0.001"
    )
    assert total.lines == 2


def test_one_thousandth_off_at_35_digits_is_seen() -> None:
    # Literals: arithmetic of Python's default context would round them.
    published, rest = (
        measure(1, "50000000000000000000000000000000000.000"),
        "49999999999999999999999999999999999.999",
    )
    shares = Balance(measure(2, MOST), published, measure(1, rest))
    assert shares.is_reconciled
    shares.duplicates = measure(1, "49999999999999999999999999999999999.998")
    assert not shares.is_reconciled


def test_received_is_published_and_duplicates_and_conflicts() -> None:
    cells = reconcile(
        {CELL: measure(10, "10")},
        {CELL: measure(4, "4")},
        {CELL: measure(1, "1")},
        {
            (CELL, ConflictOutcome.CONFLICT): measure(1, "1"),
            (CELL, ConflictOutcome.LATE_CONFLICT): measure(1, "1"),
            # A late duplicate is a duplicate, beside those that silver counts.
            (CELL, ConflictOutcome.LATE_DUPLICATE): measure(3, "3"),
        },
    )
    assert cells[CELL].duplicates == measure(4, "4")
    assert cells[CELL].conflicts == measure(2, "2")
    assert cells[CELL].is_reconciled
    assert unreconciled_dates(cells) == {}


@pytest.mark.parametrize(
    "published",
    [
        measure(1, "10"),  # a line less
        measure(3, "10"),  # a line more
        measure(2, "9.999"),  # an amount less
        ControlTotals(2, Decimal(10), Decimal(14)),  # errors of opposite signs, equal in sum
    ],
)
def test_each_measure_is_compared(published: ControlTotals) -> None:
    cells = reconcile({CELL: measure(2, "10")}, {CELL: published}, {}, {})
    (reason,) = unreconciled_dates(cells).values()
    assert "2026-11-27 chunk A-G USD" in reason
    assert "received 2 lines 10" in reason


def test_what_is_on_one_side_only_does_not_reconcile() -> None:
    other = ReconciliationKey(NEXT, "H-N", "USD")
    cells = reconcile({CELL: measure(1, "1")}, {other: measure(1, "1")}, {}, {})
    assert set(unreconciled_dates(cells)) == {DAY, NEXT}
    # Nor does a line that is published in another chunk or currency than received.
    for strange in (ReconciliationKey(DAY, "H-N", "USD"), ReconciliationKey(DAY, "A-G", "JPY")):
        cells = reconcile({CELL: measure(1, "1")}, {strange: measure(1, "1")}, {}, {})
        assert set(unreconciled_dates(cells)) == {DAY}


def test_totals_and_shares_of_conflicts() -> None:
    cells = {
        ReconciliationKey(DAY, "A-G", "USD"): Balance(
            measure(90, "90"), measure(89, "89"), measure(0), measure(1, "1")
        ),
        ReconciliationKey(DAY, "H-N", "USD"): Balance(measure(10, "5"), measure(8, "4"), measure(2, "1")),
        ReconciliationKey(DAY, "A-G", "JPY"): Balance(measure(100, "7"), measure(100, "7")),
        ReconciliationKey(NEXT, "A-G", "USD"): Balance(),
    }
    assert conflict_ratios(cells) == {DAY: 0.005, NEXT: 0.0}
    by_currency = totals_by(cells, lambda cell: cell.currency)
    assert by_currency["USD"].received == measure(100, "95")
    assert by_currency["JPY"].received == measure(100, "7")
    columns = by_currency["USD"].as_columns()
    assert (columns["published"], columns["gross_duplicates"], columns["absolute_gross_conflicts"]) == (
        97,
        1,
        1,
    )


# --- audit of a drop


def found(lines: int = 100, rejected: int = 0, *files: ManifestFile) -> IngestedDrop:
    drop = Drop(DAY, (), Manifest(False, files) if files else None)
    gross = {"a.csv": {"USD": Decimal("12.34"), "JPY": Decimal("500")}}
    return IngestedDrop(
        drop,
        lines,
        lines - rejected,
        rejected,
        reasons=Counter({"bad_quantity": 3, "zero_quantity": 1}),
        file_lines=Counter({"a.csv": lines}),
        file_gross=gross,
    )


def test_rejects_up_to_the_share_pass() -> None:
    assert audit_drop(found(100, 5), 0.05) is None
    assert audit_drop(found(0, 0), 0.0) is None
    assert audit_drop(found(100, 0), 0.0) is None
    assert audit_drop(found(1, 1), 1.0) is None
    refusal = audit_drop(found(100, 6), 0.05)
    assert refusal is not None
    assert refusal.code is DropReason.REJECTED_LINES
    assert refusal.text.startswith(
        "6 of 100 lines rejected (6.00%, audit.max_rejected_share allows 5.00%): bad_quantity 3"
    )


def test_a_manifest_must_agree_in_rows_and_in_each_currency() -> None:
    both = {"USD": Decimal("12.340"), "JPY": Decimal("500")}
    assert audit_drop(found(100, 0, ManifestFile("a.csv", 100, both)), 0.05) is None
    assert audit_drop(found(100, 0, ManifestFile("a.csv", None, None)), 0.05) is None
    refusal = audit_drop(found(100, 0, ManifestFile("a.csv", 99, both)), 0.05)
    assert refusal == Refusal(DropReason.CONTROL_TOTALS, "manifest says 99 rows in a.csv, 100 were read")
    wrong = {
        "manifest says gross_amount 12.35 USD in a.csv, 12.34 was read": {**both, "USD": Decimal("12.35")},
        "manifest says gross_amount 0 JPY in a.csv, 500 was read": {"USD": Decimal("12.34")},
        "manifest says gross_amount 1 KWD in a.csv, 0 was read": {**both, "KWD": Decimal(1)},
    }
    for reason, amounts in wrong.items():
        refusal = audit_drop(found(100, 0, ManifestFile("a.csv", 100, amounts)), 0.05)
        assert refusal == Refusal(DropReason.CONTROL_TOTALS, reason)
    # A file that was named and had no line.
    assert audit_drop(found(100, 0, ManifestFile("b.csv", 0, {})), 0.05) is None
    assert audit_drop(found(100, 0, ManifestFile("b.csv", 1, None)), 0.05) is not None
