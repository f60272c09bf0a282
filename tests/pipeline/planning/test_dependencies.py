"""Which dates change together, wait together, and in which order: every rule by hand, then any deliveries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.planning.dependencies import Dependencies, PublishPlan
from pipeline.planning.staleness import DateInputs, DateState, DropState, date_inputs, no_inputs, stale_dates
from schemas.drops import DateContent
from schemas.states import DateStatus
from tests.pipeline.planning.deliveries import (
    adjustment,
    day,
    days,
    drop,
    numbers,
    on_time,
    publish,
    refused,
    unread,
)

Published = dict[dt.date, DateState]


def links(drops: Iterable[DropState], published: Published | None = None) -> Dependencies:
    drops = list(drops)
    return Dependencies(drops, date_inputs(drops), published or {})


def groups(drops: list[DropState], published: Published, stale: Collection[int]) -> list[list[int]]:
    found = links(drops, published).groups(days(stale))
    return [[date.day for date in group] for group in found]


def held(
    drops: list[DropState], published: Published, dates: Collection[int], not_ready: Collection[int] = ()
) -> dict[int, str]:
    found = links(drops, published).held_back(days(dates), days(not_ready))
    return {date.day: reason for date, reason in found.items()}


def plan(
    drops: list[DropState],
    published: Published,
    requested: Collection[int],
    not_ready: Collection[int] = (),
    placed: Collection[int] = (),
) -> PublishPlan:
    stale = stale_dates(date_inputs(drops), published)
    return links(drops, published).plan(stale, days(requested), days(not_ready), days(placed))


def planned(found: PublishPlan) -> list[list[int]]:
    return [[inputs.date.day for inputs in group] for group in found.groups]


D20 = drop(20, on_time(20))
D21 = drop(21, on_time(21))
D29 = drop(29, on_time(29), adjustment(29, 20))


# --- groups


def test_dates_of_nothing_in_common_are_apart() -> None:
    assert groups([D20, D21], {}, {20, 21}) == [[20], [21]]
    assert groups([D20, D21], publish(D20, D21), {20, 21}) == [[20], [21]]
    assert groups([D20, D21], {}, ()) == []


def test_linked_dates_that_nobody_has_seen_are_apart_the_deciding_one_first() -> None:
    assert groups([D29, D20], {}, {29, 20}) == [[20], [29]]


def test_linked_dates_of_which_readers_have_seen_one_go_together() -> None:
    drops = [D20, D29, D21]
    assert groups(drops, publish(D20), {20, 21, 29}) == [[20, 29], [21]]
    assert groups(drops, publish(D29), {20, 21, 29}) == [[20, 29], [21]]
    assert groups(drops, publish(D20, D29), {20, 29}) == [[20, 29]]
    # A date that was only tried is seen by nobody.
    tried = {day(20): replace(publish(D20)[day(20)], revision=0)}
    assert groups(drops, tried, {20, 21, 29}) == [[20], [21], [29]]
    # One that does not change is no part of it.
    assert groups(drops, publish(D20), {29}) == [[29]]


def test_dates_that_are_linked_only_as_they_were_published_go_together() -> None:
    # The 29th held lines of the 20th; it does not any more, and they may be those of the 20th now.
    published = publish(D29)
    assert groups([D20, drop(29, on_time(29))], published, {20, 29}) == [[20, 29]]
    # All lines of a published date are gone.
    assert groups([D20, drop(29)], published, {20, 29}) == [[20, 29]]


def test_a_date_that_a_later_date_decides_comes_after_it() -> None:
    # The history of the 20th was loaded after the 25th had brought adjustments of it.
    drops = [drop(25, adjustment(25, 20), on_time(25)), drop(29, on_time(20))]
    assert groups(drops, {}, {20, 25}) == [[25], [20]]
    # Of the same drop they may decide each other.
    assert groups([drop(25, adjustment(25, 20), on_time(20))], {}, {20, 25}) == [[20, 25]]
    # Some of its lines came before, and some after: those may lose.
    spread = [drop(20, on_time(20)), drop(25, adjustment(25, 20)), drop(26, on_time(20))]
    assert groups(spread, {}, {20, 25}) == [[20, 25]]
    assert groups(spread[::-1], {}, {20, 25}) == [[20, 25]]
    # Where the 25th cannot win, the order of dates will do.
    assert groups([drop(20, on_time(20)), drop(25, adjustment(25, 20))], {}, {20, 25}) == [[20], [25]]
    # By sale date: the 25th and 20th share two, and of each the 20th came first.
    first = [drop(20, on_time(20)), drop(25, adjustment(25, 20)), drop(30, on_time(21))]
    assert groups(first, {}, {20, 21, 25}) == [[20], [21], [25]]


def test_what_goes_together_goes_together_with_all_that_goes_with_it() -> None:
    # 20 with 28 by the sale date 20; 28 with 29 by the sale date 21.
    drops = [D20, drop(28, adjustment(28, 20), adjustment(28, 21)), drop(29, adjustment(29, 21)), D21]
    published = publish(drops[0], drops[1])
    assert groups(drops, published, {20, 28, 29}) == [[20, 28, 29]]
    # 28 does not change: nothing ties the others to each other.
    assert groups(drops, published, {20, 29}) == [[20], [29]]


# --- held back


def test_a_refused_delivery_holds_back_what_its_lines_touch() -> None:
    drops = [D20, refused(D21, on_time(22)), D29, drop(22, on_time(22)), drop(23, on_time(23))]
    reason = "drop 2026-11-21 is blocked"
    # 21: its own and accepted lines; 22: the refused lines; 30: nobody has lines of it.
    assert held(drops, {}, {20, 21, 22, 23, 29, 30}) == {21: reason, 22: reason}
    # Only of those that are looked at.
    assert held(drops, {}, {20, 22}) == {22: reason}
    assert held(drops, {}, ()) == {}


def test_a_refused_delivery_holds_back_dates_with_other_lines_of_its_sale_dates() -> None:
    # The 29th holds lines of the sale date 20, the 30th of 19; the 20th's new delivery is refused.
    drops = [refused(D20, on_time(20), on_time(19)), D29, drop(30, adjustment(30, 19)), drop(28, on_time(28))]
    assert set(held(drops, {}, {19, 20, 28, 29, 30})) == {19, 20, 29, 30}
    # As they were published, too.
    published = publish(D29)
    without = [drops[0], drop(29, on_time(29))]
    assert set(held(without, published, {29})) == {29}
    assert held(without, {}, {29}) == {}


def test_an_accepted_line_of_a_refused_drop_counts_under_the_date_it_has_and_had() -> None:
    # In bronze the 25th holds an adjustment of 20; the refused delivery has none.
    drops = [refused(drop(25, adjustment(25, 20)), on_time(25)), D20, drop(26, on_time(26))]
    assert set(held(drops, {}, {20, 25, 26})) == {20, 25}
    # What was published of it earlier is of it, whatever it holds now.
    state = DateState(day(26), DateStatus.DONE, 1, "h", frozenset({day(25)}))
    assert set(held(drops, {day(26): state}, {26})) == {26}


def test_a_failed_drop_holds_back_its_own_date_and_what_it_holds_in_bronze() -> None:
    reason = "drop 2026-11-25 is failed"
    assert held([D20, unread(25)], {}, {20, 25}) == {25: reason}
    before = drop(25, on_time(25), on_time(24))
    drops = [D20, unread(25, before), drop(29, adjustment(29, 24))]
    assert held(drops, {}, {20, 24, 25, 29}) == {24: reason, 25: reason, 29: reason}
    # Lines of its own date may be in the delivery that nobody could read.
    assert set(held([unread(25), drop(29, adjustment(29, 25))], {}, {25, 29})) == {25, 29}


def test_a_drop_that_is_not_there_yet_holds_back_its_date_and_what_it_holds() -> None:
    reason = "drop 2026-11-21 is not there yet"
    assert held([D20], {}, {20, 21}, not_ready={21}) == {21: reason}
    before = drop(21, on_time(21), on_time(20))
    drops = [D20, before, D29, drop(28, on_time(28))]
    assert held(drops, {}, {20, 21, 28, 29}, not_ready={21}) == {20: reason, 21: reason, 29: reason}
    # It is told as what it is now, though its last delivery was refused.
    assert held([refused(D21)], {}, {21}, not_ready={21}) == {21: reason}
    assert held([D20], {}, {20}, not_ready={21}) == {}


def test_sound_drops_hold_nothing_back() -> None:
    assert held([D20, D21, D29], publish(D20, D21), {20, 21, 29}) == {}


def test_the_first_reason_is_told() -> None:
    drops = [refused(D20), unread(21, drop(21, on_time(20)))]
    assert held(drops, {}, {20}) == {20: "drop 2026-11-20 is blocked"}


# --- dependents


def dependents(
    drops: list[DropState],
    published: Published,
    lost: Collection[int],
    dates: Collection[int],
    stale: Collection[int],
    reasons: dict[int, str] | None = None,
) -> dict[int, str]:
    every = links(drops, published)
    told = {day(number): reason for number, reason in (reasons or {}).items()}
    found = every.dependents(days(lost), days(dates), every.groups(days(stale)), told)
    return {date.day: reason for date, reason in found.items()}


def test_a_date_waits_for_the_dates_that_decide_it_and_those_do_not_wait_for_it() -> None:
    drops = [D20, D21, D29]
    every = {20, 21, 29}
    assert dependents(drops, {}, {20}, every, every) == {29: "date 2026-11-20 waits: it failed"}
    assert dependents(drops, {}, {29}, every, every) == {}
    assert dependents(drops, {}, {21}, every, every) == {}
    assert dependents(drops, {}, {20}, {20, 21}, every) == {}
    assert dependents(drops, {}, (), every, every) == {}


def test_dates_of_one_group_wait_for_each_other() -> None:
    drops, published = [D20, D21, D29], publish(D20)
    assert dependents(drops, published, {29}, {20, 21, 29}, {20, 21, 29}, {29: "drop D is blocked"}) == {
        20: "date 2026-11-29 waits: drop D is blocked"
    }
    # The 20th does not change: the 29th may wait alone.
    assert dependents(drops, published, {29}, {21, 29}, {21, 29}) == {}


def test_who_waits_makes_others_wait_and_the_first_cause_is_told() -> None:
    # 20 decides 28 (sale date 20), which decides 29 (sale date 21).
    drops = [D20, drop(28, adjustment(28, 20), adjustment(28, 21)), drop(29, adjustment(29, 21))]
    every = {20, 28, 29}
    told = dependents(drops, {}, {20}, every, every, {20: "drop 2026-11-20 is blocked"})
    assert set(told) == {28, 29}
    assert set(told.values()) == {"date 2026-11-20 waits: drop 2026-11-20 is blocked"}
    assert set(dependents(drops, {}, {28}, every, every)) == {29}


# --- the whole plan


def test_every_stale_date_is_planned_in_order() -> None:
    found = plan([D29, D21, D20], {}, {20, 21, 29})
    assert planned(found) == [[20], [21], [29]]
    assert (found.held, found.added) == ({}, frozenset())
    inputs = date_inputs([D29, D21, D20])
    assert [group[0] for group in found.groups] == [inputs[day(20)], inputs[day(21)], inputs[day(29)]]
    assert planned(plan([D20], publish(D20), {20})) == []


def test_what_was_asked_for_brings_along_the_dates_that_decide_it() -> None:
    drops = [D20, D21, D29]
    found = plan(drops, {}, {29})
    assert planned(found) == [[20], [29]]
    assert found.added == {day(20)}
    # And not those that it decides, nor others.
    found = plan(drops, {}, {20})
    assert (planned(found), found.added) == ([[20]], frozenset())
    assert planned(plan(drops, {}, {22})) == []


def test_what_was_asked_for_brings_along_the_dates_that_change_with_it() -> None:
    # S is published with the line; now E, of an earlier drop, takes it over. Publishing S alone would leave
    # the line nowhere; publishing E alone would have it twice.
    early = drop(25, adjustment(25, 20), on_time(25))
    late = drop(29, on_time(20), on_time(29))
    published = publish(late)
    for requested in ({20}, {25}, {20, 25}):
        found = plan([early, late], published, requested)
        assert planned(found) == [[20, 25]]
        assert found.added == days({20, 25} - requested)
    # Transitively: who is brought along brings along.
    drops = [D20, drop(28, adjustment(28, 20), adjustment(28, 21)), drop(29, adjustment(29, 21))]
    assert planned(plan(drops, {}, {29})) == [[20], [28], [29]]


def test_a_date_that_does_not_change_is_not_brought_along() -> None:
    found = plan([D20, D29], publish(D20), {29})
    assert (planned(found), found.added) == ([[29]], frozenset())


def test_a_date_that_waits_holds_back_its_group_and_what_it_decides() -> None:
    drops = [refused(D20), D21, D29]
    found = plan(drops, {}, {20, 21, 29})
    assert planned(found) == [[21]]
    assert numbers(found.held) == {20, 29}
    # Lines of the 20th had been published; a sound drop changes it, another drop of its group is refused.
    changed = drop(20, on_time(20, digest="other"))
    found = plan([changed, D21, refused(D29)], publish(D20, D21, D29), {20, 21, 29})
    assert (planned(found), numbers(found.held)) == ([], {20, 29})
    assert set(found.held.values()) == {"drop 2026-11-29 is blocked"}


def test_a_refused_delivery_of_a_brought_along_date_holds_back_who_asked() -> None:
    # 28 is asked for; it goes with 27 (both were published), and 27 waits for the 26th's sale dates.
    before = [drop(27, adjustment(27, 20), adjustment(27, 21)), drop(28, adjustment(28, 20))]
    after = [
        drop(27, adjustment(27, 20, digest="other"), adjustment(27, 21)),
        drop(28, adjustment(28, 20, digest="other")),
        refused(drop(26), on_time(21)),
    ]
    found = plan(after, publish(*before), {28})
    assert planned(found) == []
    assert found.held[day(27)] == "drop 2026-11-26 is blocked"
    assert found.held[day(28)] == "date 2026-11-27 waits: drop 2026-11-26 is blocked"


def test_a_date_without_a_line_is_planned_empty() -> None:
    found = plan([drop(20)], publish(D20), {20})
    assert found.groups == [[no_inputs(day(20))]]


def test_dates_that_are_only_placed_anew_are_groups_of_their_own() -> None:
    drops, published = [D20, D21, drop(28, on_time(28))], publish(D20, D21)
    found = plan(drops, published, {20, 21, 28}, placed={20, 21})
    assert planned(found) == [[28], [20], [21]]
    # Those asked for only, and none that waits.
    assert planned(plan(drops, published, {21, 28}, placed={20, 21})) == [[28], [21]]
    found = plan([refused(D20), D21], published, {20, 21}, placed={20, 21})
    assert (planned(found), numbers(found.held)) == ([[21]], {20})
    # A date that is both changes its content anyway, and once.
    changed = drop(20, on_time(20, digest="other"))
    assert planned(plan([changed, D21], published, {20}, placed={20})) == [[20]]


def test_a_date_that_decides_is_planned_before_a_group_that_starts_earlier() -> None:
    # 20 and 29 go together, since the 20th is published; 25 decides 29 by the sale date 25.
    before = drop(20, on_time(20))
    after = [
        before,
        drop(21, on_time(20)),
        drop(25, on_time(25)),
        drop(29, adjustment(29, 20), adjustment(29, 25)),
    ]
    found = planned(plan(after, publish(before), {20, 25, 29}))
    position = {number: index for index, group in enumerate(found) for number in group}
    assert position[20] == position[29]
    assert position[25] <= position[29], found


# --- any deliveries


@dataclass(frozen=True)
class World:
    """Deliveries as they are, dates as they were published, and what is asked for."""

    drops: list[DropState]
    published: Published
    requested: set[dt.date]
    not_ready: set[dt.date]

    @property
    def inputs(self) -> dict[dt.date, DateInputs]:
        return date_inputs(self.drops)

    @property
    def stale(self) -> set[dt.date]:
        return stale_dates(self.inputs, self.published)

    @property
    def links(self) -> Dependencies:
        return Dependencies(self.drops, self.inputs, self.published)


LAST_DAY = 5
_DAYS = st.integers(1, LAST_DAY)
# What became of a drop between the publication of before and now.
_FATES = st.sampled_from(
    ["same", "same", "changed", "changed", "new", "new", "moved", "withdrawn", "refused", "unread", "absent"]
)


def _lines(draw: st.DrawFn, number: int, late: range, digest: str) -> tuple[DateContent, ...]:
    """Lines of a drop, of some sale dates; late ones are adjustments, history is not."""
    picked = draw(st.integers(0, 2**number - 1))
    return tuple(
        adjustment(number, sale, 1, digest) if sale in late else on_time(sale, 1, digest)
        for sale in range(1, number + 1)
        if picked >> (sale - 1) & 1
    )


def _as_it_is_now(draw: st.DrawFn, fate: str, first: DropState, other: tuple[DateContent, ...]) -> DropState:
    if fate == "changed":
        return drop(first.date.day, *(replace(part, digest="b") for part in first.content))
    if fate == "unread":
        return unread(first.date.day, draw(st.sampled_from([None, first])))
    becomes = {"moved": drop(first.date.day, *other), "refused": refused(first, *other)}
    return becomes.get(fate, drop(first.date.day) if fate == "withdrawn" else first)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Deliveries dated as an ingest dates them, some published, some changed since, some in trouble."""
    late_days, history = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    before: list[DropState] = []
    now: list[DropState] = []
    for number in range(1, LAST_DAY + 1):
        fate = draw(_FATES)
        late = range(history + 1, number - late_days)
        first = drop(number, *_lines(draw, number, late, "a"))
        other = _lines(draw, number, late, "b") if fate in ("moved", "refused") else ()
        if fate not in ("absent", "new"):
            before.append(first)
        if fate != "absent":
            now.append(_as_it_is_now(draw, fate, first, other))
    published = publish(*before)
    seen = {date for date in published if draw(st.booleans())}
    return World(
        drops=now if draw(st.booleans()) else now[::-1],
        published={date: state for date, state in published.items() if date in seen},
        requested=days(draw(st.just(range(1, LAST_DAY + 1)) | st.sets(_DAYS, min_size=1))),
        not_ready=days(draw(st.sets(_DAYS, max_size=1))),
    )


def decides(world: World, date: dt.date, other: dt.date) -> bool:
    """Whether some line of a date, in bronze, may come before some line of the other: drop by drop."""
    return date != other and any(
        ours.sale_date == theirs.sale_date and our_drop.date <= their_drop.date
        for our_drop in world.drops
        for ours in our_drop.content
        for their_drop in world.drops
        for theirs in their_drop.content
        if ours.business_date == date and theirs.business_date == other
    )


def sale_dates(world: World, date: dt.date) -> set[dt.date]:
    now = {part.sale_date for held in world.drops for part in held.content if part.business_date == date}
    return now | (set(world.published[date].sale_dates) if date in world.published else set())


def is_linked(world: World, date: dt.date, other: dt.date) -> bool:
    return bool(sale_dates(world, date) & sale_dates(world, other))


def troubled_sale_dates(world: World) -> set[dt.date]:
    """Sale dates of the lines of every drop that is refused, unreadable or not there yet."""
    return {
        part.sale_date
        for held in world.drops
        if held.is_in_trouble or held.date in world.not_ready
        for part in (*held.content, *held.refused)
    }


MANY = settings(max_examples=400)


@MANY
@given(worlds())
def test_every_stale_date_that_was_asked_for_is_planned_once_or_held(world: World) -> None:
    found = world.links.plan(world.stale, world.requested, world.not_ready)
    dates = [inputs.date for group in found.groups for inputs in group]
    assert len(dates) == len(set(dates))
    assert not set(dates) & set(found.held)
    assert world.requested & world.stale <= set(dates) | set(found.held)
    assert set(dates) | set(found.held) <= world.stale
    assert found.added == (set(dates) | set(found.held)) - world.requested
    for group in found.groups:
        for inputs in group:
            assert inputs == (world.inputs.get(inputs.date) or no_inputs(inputs.date))
    # And nothing more is left to ask for: the same plan, asked for as a whole, is the same.
    again = world.links.plan(world.stale, set(dates) | set(found.held), world.not_ready)
    assert (again.groups, again.held) == (found.groups, found.held)


@MANY
@given(worlds())
def test_dates_that_readers_could_see_apart_are_never_split(world: World) -> None:
    found = world.links.plan(world.stale, world.requested, world.not_ready)
    place = {inputs.date: n for n, group in enumerate(found.groups) for inputs in group}
    chosen = set(place) | set(found.held)
    for date in chosen:
        for other in world.stale - {date}:
            if is_linked(world, date, other) and (date in world.published or other in world.published):
                assert other in chosen
                assert (date in found.held) == (other in found.held)
                assert place.get(date) == place.get(other)


@settings(max_examples=1500)
@given(worlds())
def test_no_date_is_published_before_or_without_a_date_that_decides_it(world: World) -> None:
    found = world.links.plan(world.stale, world.requested, world.not_ready)
    place = {inputs.date: n for n, group in enumerate(found.groups) for inputs in group}
    for date, position in place.items():
        for other in world.stale:
            if decides(world, other, date):
                assert other not in found.held
                assert place[other] <= position


@MANY
@given(worlds())
def test_nothing_is_published_that_depends_on_a_drop_in_trouble(world: World) -> None:
    found = world.links.plan(world.stale, world.requested, world.not_ready)
    troubled = troubled_sale_dates(world)
    in_trouble = {held.date for held in world.drops if held.is_in_trouble} | world.not_ready
    for group in found.groups:
        for inputs in group:
            assert inputs.date not in in_trouble
            assert not sale_dates(world, inputs.date) & troubled
            assert not inputs.drop_dates & in_trouble
    # Where nothing is in trouble, nothing waits.
    if not in_trouble:
        assert found.held == {}


@MANY
@given(worlds(), st.data())
def test_whatever_fails_what_is_left_can_be_published_without_it(world: World, data: st.DataObject) -> None:
    every = world.links
    mates = every.groups(world.stale)
    lost = data.draw(st.sets(st.sampled_from(sorted(world.stale)))) if world.stale else set()
    waiting = set(every.dependents(lost, world.stale, mates, {})) | lost
    for date in world.stale - waiting:
        for other in waiting:
            assert not decides(world, other, date)
            seen = date in world.published or other in world.published
            assert not (seen and is_linked(world, date, other))
    # No more than that: each date waits for one that waits already.
    for date in waiting - lost:
        assert any(
            decides(world, other, date) or any(date in group and other in group for group in mates)
            for other in waiting - {date}
        )
