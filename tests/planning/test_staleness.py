"""Which dates are stale, and which are held back: every rule of the design."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from planning.staleness import (
    DateState,
    DropState,
    date_inputs,
    held_back_dates,
    no_inputs,
    stale_dates,
)
from schemas.drops import DateContent
from schemas.states import DateStatus, DropStatus


def day(number: int) -> dt.date:
    return dt.date(2026, 11, number)


def on_time(number: int, lines: int = 10) -> DateContent:
    return DateContent(day(number), day(number), False, lines)


def adjustment(drop: int, sold: int, lines: int = 1) -> DateContent:
    return DateContent(day(drop), day(sold), True, lines)


def drop(number: int, *content: DateContent, fingerprint: str = "f1") -> DropState:
    """A drop that bronze holds as it was last seen."""
    return DropState(day(number), DropStatus.INGESTED, fingerprint, fingerprint, content)


def publish(*drops: DropState) -> dict[dt.date, DateState]:
    """The state after every date of these drops was published."""
    return {
        date: DateState(date, DateStatus.DONE, 1, inputs.inputs_hash, inputs.drop_dates)
        for date, inputs in date_inputs(drops).items()
    }


def stale(drops: list[DropState], published: dict[dt.date, DateState]) -> set[int]:
    return {date.day for date in stale_dates(date_inputs(drops), published)}


D20 = drop(20, on_time(20))
D21 = drop(21, on_time(21), DateContent(day(20), day(20), False, 3))
D29 = drop(29, on_time(29), adjustment(29, 20))


def test_what_was_never_published_is_stale_and_what_was_is_not() -> None:
    drops = [D20, D21, D29]
    assert stale(drops, {}) == {20, 21, 29}
    assert stale(drops, publish(*drops)) == set()
    assert stale(list(reversed(drops)), publish(*drops)) == set()
    assert stale([], {}) == set()


def test_a_drop_that_comes_again_makes_its_dates_stale() -> None:
    again = replace(D21, fingerprint="f2", held_input="f2")
    assert stale([D20, again, D29], publish(D20, D21, D29)) == {20, 21, 29}
    # Without an adjustment that looks back at the 20th, the 29th has nothing to do with it.
    alone = drop(29, on_time(29))
    assert stale([D20, again, alone], publish(D20, D21, alone)) == {20, 21}


def test_a_late_drop_makes_the_date_that_it_restates_stale() -> None:
    late = drop(22, on_time(22), DateContent(day(20), day(20), False, 1))
    assert stale([D20, D21, late], publish(D20, D21)) == {20, 22}


def test_a_changed_drop_makes_adjustments_of_its_sale_dates_stale_and_no_others() -> None:
    other_adjustment = drop(30, on_time(30), adjustment(30, 19))
    again = replace(D20, fingerprint="f2", held_input="f2")
    published = publish(D20, D21, D29, other_adjustment)
    assert stale([again, D21, D29, other_adjustment], published) == {20, 29}


def test_a_later_drop_of_the_same_sale_date_leaves_an_adjustment_alone() -> None:
    later = drop(30, on_time(30), adjustment(30, 20))
    assert stale([D20, D21, D29, later], publish(D20, D21, D29)) == {30}
    # And the earlier adjustment is one of the lines that the later one is checked against.
    again = replace(D29, fingerprint="f2", held_input="f2")
    assert stale([D20, D21, again, later], publish(D20, D21, D29, later)) == {29, 30}


def test_lines_that_moved_to_another_date_make_both_stale() -> None:
    moved = DropState(day(21), DropStatus.INGESTED, "f2", "f2", (on_time(21),))
    assert stale([D20, moved], publish(D20, D21)) == {20, 21}


def test_a_date_whose_lines_are_all_gone_is_stale_until_it_is_published_empty() -> None:
    emptied = DropState(day(20), DropStatus.INGESTED, "f2", "f2", ())
    published = publish(D20)
    assert stale([emptied], published) == {20}
    published[day(20)] = replace(published[day(20)], inputs_hash=no_inputs(day(20)).inputs_hash, revision=2)
    assert stale([emptied], published) == set()
    # A date that was only ever tried has no content to empty.
    tried = {day(19): DateState(day(19), DateStatus.FAILED, 0, None, frozenset())}
    assert stale([emptied], tried) == set()


def test_a_drop_without_lines_in_bronze_is_no_input() -> None:
    unread = DropState(day(22), DropStatus.FAILED, "f1", None, (on_time(22),))
    assert date_inputs([unread]) == {}


def test_the_hash_is_of_what_bronze_holds_not_of_what_landed_since() -> None:
    landed = replace(D20, status=DropStatus.FAILED, fingerprint="f2")
    assert stale([landed], publish(D20)) == set()


def test_inputs_of_a_date() -> None:
    inputs = date_inputs([D20, D21, D29])
    assert inputs[day(20)].lines == 13
    assert inputs[day(20)].drop_dates == {day(20), day(21)}
    assert inputs[day(20)].adjusted_sale_dates == frozenset()
    assert inputs[day(29)].lines == 11
    assert inputs[day(29)].drop_dates == {day(29)}
    assert inputs[day(29)].adjusted_sale_dates == {day(20)}
    hashes = {found.inputs_hash for found in inputs.values()} | {no_inputs(day(20)).inputs_hash}
    assert len(hashes) == 4


def test_blocked_and_failed_drops_hold_their_dates_back_now_and_as_published() -> None:
    published = publish(D20, D21)
    blocked = replace(D21, status=DropStatus.BLOCKED, content=(on_time(22),))
    held = held_back_dates([D20, blocked], published, ())
    # 22: its lines now; 20 and 21: its lines as published.
    assert {date.day for date in held} == {20, 21, 22}
    assert set(held.values()) == {"drop 2026-11-21 is blocked"}
    failed = DropState(day(25), DropStatus.FAILED, "f1", None, ())
    assert held_back_dates([D20, failed], published, ()) == {day(25): "drop 2026-11-25 is failed"}
    assert held_back_dates([D20, D21], published, ()) == {}


def test_a_drop_that_is_not_there_yet_holds_its_own_date_back() -> None:
    held = held_back_dates([D20], {}, [day(21)])
    assert held == {day(21): "drop 2026-11-21 is not there yet"}
