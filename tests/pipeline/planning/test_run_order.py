"""The order of runs, from sequences where there are any."""

from __future__ import annotations

import datetime as dt

from pipeline.planning.run_order import order_runs

AT = dt.datetime(2026, 3, 2, 4, 0, tzinfo=dt.UTC)


def days(**starts: int) -> dict[str, dt.datetime]:
    return {run_id: AT + dt.timedelta(days=day) for run_id, day in starts.items()}


def test_without_numbers_starts_decide() -> None:
    assert order_runs(days(b=2, a=1, c=3), []) == ["a", "b", "c"]


def test_a_wrong_clock_changes_no_order_that_numbers_tell() -> None:
    """Run b ran between a and c on a machine whose clock was years behind, then on one years ahead."""
    for start in (-9000, 9000):
        starts = days(a=1, b=start, c=3)
        assert order_runs(starts, [[(3, "c"), (1, "a"), (2, "b"), (1, "a")]]) == ["a", "b", "c"]
        # Two tables compare them together.
        assert order_runs(starts, [[(1, "a"), (2, "b")], [(7, "b"), (8, "c")]]) == ["a", "b", "c"]


def test_a_run_that_wrote_nothing_stands_by_its_start() -> None:
    starts = days(a=1, idle=2, b=3)
    assert order_runs(starts, [[(1, "a"), (2, "b")]]) == ["a", "idle", "b"]


def test_rows_that_a_later_run_recorded_for_a_killed_one_come_before_its_own() -> None:
    starts = days(killed=5, next=1)
    assert order_runs(starts, [[(1, "killed")], [(1, "killed"), (2, "next")]]) == ["killed", "next"]


def test_numbers_that_contradict_each_other_leave_it_to_the_starts() -> None:
    starts = days(a=1, b=2, c=3)
    assert order_runs(starts, [[(1, "b"), (2, "a")], [(1, "a"), (2, "b")]]) == ["c", "a", "b"]


def test_rows_of_unknown_runs_and_of_one_number_order_nothing() -> None:
    assert order_runs(days(a=2, b=1), [[(1, "a"), (1, "b"), (0, "gone")]]) == ["b", "a"]
