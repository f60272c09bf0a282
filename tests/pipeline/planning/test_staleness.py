"""Which dates are stale: every rule of the design, from the content of deliveries alone."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace
from decimal import Decimal

from pipeline.planning.pinned import Chunking
from pipeline.planning.staleness import (
    DateState,
    DropState,
    date_inputs,
    misplaced_dates,
    no_inputs,
    stale_dates,
)
from schemas.drops import DateContent
from schemas.states import DateStatus, DropStatus
from tests.pipeline.planning.deliveries import (
    adjustment,
    day,
    drop,
    numbers,
    on_time,
    publish,
    refused,
    unread,
)


def stale(drops: list[DropState], published: dict[dt.date, DateState]) -> set[int]:
    return numbers(stale_dates(date_inputs(drops, published=published), published))


def restored(state: DateState, linked_hash: str) -> DateState:
    """The date after an earlier revision of it was brought back (batch.restore keeps the linked hash)."""
    return replace(state, revision=state.revision + 1, inputs_hash=linked_hash, is_restored=True)


D20 = drop(20, on_time(20))
D21 = drop(21, on_time(21), on_time(20, 3, "late"))
D29 = drop(29, on_time(29), adjustment(29, 20))


def test_what_was_never_published_is_stale_and_what_was_is_not() -> None:
    drops = [D20, D21, D29]
    assert stale(drops, {}) == {20, 21, 29}
    assert stale(drops, publish(*drops)) == set()
    assert stale([], {}) == set()
    # Tried and never done: no content yet.
    tried = {day(20): DateState(day(20), DateStatus.FAILED, 0, None, frozenset())}
    assert stale([D20], tried) == {20}
    tried[day(20)] = replace(tried[day(20)], inputs_hash=date_inputs([D20])[day(20)].inputs_hash)
    assert stale([D20], tried) == {20}


def test_the_order_of_drops_does_not_matter() -> None:
    # Of the 20th, the 26th brings lines after the adjustment of the 25th.
    drops = [D20, D21, drop(26, on_time(20)), drop(25, adjustment(25, 20)), drop(30, adjustment(30, 21))]
    published = publish(*drops)
    for order in itertools.permutations(drops):
        assert date_inputs(order) == date_inputs(drops)
        assert stale(list(order), published) == set()
    # Nor that of a drop's parts.
    turned = drop(21, *reversed(D21.content))
    assert stale([D20, turned, D29], publish(D20, D21, D29)) == set()


def test_changed_content_makes_stale_and_equal_content_delivered_again_does_not() -> None:
    published = publish(D20, D21, D29)
    same = drop(21, *D21.content, fingerprint="f2")
    assert stale([D20, same, D29], published) == set()
    # As many lines, and still not the same.
    other = drop(21, on_time(21, digest="other"), on_time(20, 3, "late"))
    assert stale([D20, other, D29], published) == {21}
    fewer = drop(21, on_time(21, 9), on_time(20, 3, "late"))
    assert stale([D20, fewer, D29], published) == {21}
    # The 29th holds lines of the sale date 20, which an earlier drop now holds other lines of.
    late_changed = drop(21, on_time(21), on_time(20, 3, "other"))
    assert stale([D20, late_changed, D29], published) == {20, 29}
    alone = drop(29, on_time(29))
    assert stale([D20, late_changed, alone], publish(D20, D21, alone)) == {20}


def test_each_part_of_the_content_counts() -> None:
    published = publish(drop(20, on_time(20)))
    base = on_time(20)
    for changed in (replace(base, lines=11), replace(base, digest="e"), replace(base, is_adjustment=True)):
        assert stale([drop(20, changed)], published) == {20}
    # The same lines in another drop stay others: the first drop is part of what is published.
    assert stale([drop(21, base)], published) == {20}
    # Gross follows from the lines.
    assert stale([drop(20, on_time(20, gross={"USD": Decimal(1)}))], published) == set()
    # The same lines in two parts of one sale date each are not those of one.
    pair = drop(20, on_time(20, 5, "a"), on_time(20, 5, "b"))
    assert stale([drop(20, on_time(20, 5, "a"), on_time(20, 5, "c"))], publish(pair)) == {20}


def test_a_late_drop_makes_the_date_that_it_restates_stale() -> None:
    late = drop(22, on_time(22), on_time(20, 1))
    assert stale([D20, D21, late], publish(D20, D21)) == {20, 22}


def test_an_earlier_drop_elsewhere_decides_and_a_later_one_does_not() -> None:
    other_adjustment = drop(30, on_time(30), adjustment(30, 19))
    again = drop(20, on_time(20, digest="other"))
    published = publish(D20, D21, D29, other_adjustment)
    assert stale([again, D21, D29, other_adjustment], published) == {20, 29}
    # The 29th is later than every drop of the 20th: nothing of the 20th can lose against it.
    changed = drop(29, on_time(29), adjustment(29, 20, digest="other"))
    assert stale([D20, D21, changed, other_adjustment], published) == {29}
    # The earlier adjustment is one of the lines that a later one is held against, and not the other way.
    later = drop(30, on_time(30), adjustment(30, 20))
    assert stale([D20, D21, D29, later], publish(D20, D21, D29)) == {30}
    assert stale([D20, D21, changed, later], publish(D20, D21, D29, later)) == {29, 30}


def test_an_adjustment_of_an_earlier_drop_decides_the_sale_date_itself() -> None:
    # History was loaded by a drop of the 29th under the sale date 20; the 25th brought adjustments before.
    early = drop(25, adjustment(25, 20))
    history = drop(29, on_time(20))
    published = publish(early, history)
    changed = drop(25, adjustment(25, 20, digest="other"))
    assert stale([changed, history], published) == {20, 25}
    # Were the history of an earlier drop, the adjustments would not decide it.
    first = drop(24, on_time(20))
    assert stale([changed, first], publish(early, first)) == {25}
    # Of the same drop, they do: two business dates of one drop may hold copies, ordered by file.
    both = drop(25, adjustment(25, 20), on_time(20))
    both_changed = drop(25, adjustment(25, 20, digest="other"), on_time(20))
    assert stale([both_changed], publish(both)) == {20, 25}


def test_whether_a_drop_is_earlier_is_asked_for_each_sale_date() -> None:
    # The 25th holds adjustments of the 20th by its own drop, and late lines of its own by the 30th's.
    own = [drop(25, adjustment(25, 20), on_time(25)), drop(30, on_time(25))]
    other, changed = drop(28, adjustment(28, 20)), drop(28, adjustment(28, 20, digest="other"))
    published = publish(*own, other)
    assert stale([*own, changed], published) == {28}
    earlier, changed = drop(24, adjustment(24, 20)), drop(24, adjustment(24, 20, digest="other"))
    assert stale([*own, changed], publish(*own, earlier)) == {24, 25}
    # Two dates of other drops each: the 21st's may lose against the 25th's, the 20th's may not.
    mixed = [drop(24, on_time(20)), drop(27, on_time(21)), drop(25, adjustment(25, 20), adjustment(25, 21))]
    published = publish(*mixed)
    of_20 = drop(25, adjustment(25, 20, digest="other"), adjustment(25, 21))
    of_21 = drop(25, adjustment(25, 20), adjustment(25, 21, digest="other"))
    assert stale([mixed[0], mixed[1], of_20], published) == {25}
    assert stale([mixed[0], mixed[1], of_21], published) == {21, 25}


def test_lines_that_moved_to_another_date_make_both_stale() -> None:
    moved = drop(21, on_time(21, 13))
    assert stale([D20, moved], publish(D20, D21)) == {20, 21}


def test_a_drop_that_is_withdrawn_makes_stale_what_it_decided() -> None:
    withdrawn = drop(20, fingerprint="f2")
    assert stale([withdrawn, D21, D29], publish(D20, D21, D29)) == {20, 29}


def test_a_date_whose_lines_are_all_gone_is_stale_until_it_is_published_empty() -> None:
    emptied = drop(20, fingerprint="f2")
    published = publish(D20)
    assert stale([emptied], published) == {20}
    assert stale([], published) == {20}
    published[day(20)] = replace(published[day(20)], inputs_hash=no_inputs(day(20)).inputs_hash, revision=2)
    assert stale([emptied], published) == set()
    # Its lines come back.
    assert stale([D20], published) == {20}
    # A date that was only ever tried has no content to empty.
    tried = {day(19): DateState(day(19), DateStatus.FAILED, 0, None, frozenset())}
    assert stale([emptied], tried) == set()


def test_only_what_bronze_holds_is_an_input() -> None:
    assert date_inputs([unread(22)]) == {}
    published = publish(D20)
    # A refused delivery changes nothing: the one before is still in bronze.
    assert stale([refused(D20, on_time(20, 99, "worse"), on_time(19))], published) == set()
    assert stale([unread(20, D20)], published) == set()
    landed = replace(D20, status=DropStatus.FAILED, fingerprint="f2")
    assert stale([landed], published) == set()


def test_a_restored_date_stands_until_what_it_is_linked_with_changes() -> None:
    drops = [D20, D21, D29]
    published = publish(*drops)
    linked = date_inputs(drops)[day(20)].linked_hash
    assert linked != date_inputs(drops)[day(20)].inputs_hash
    published[day(20)] = restored(published[day(20)], linked)
    assert stale(drops, published) == set()
    assert stale([D20, drop(21, *D21.content, fingerprint="f2"), D29], published) == set()
    # Its own lines, of one of its drops.
    assert stale([drop(20, on_time(20, digest="other")), D21, D29], published) == {20, 29}
    # Later lines of its sale date under another date: they could not decide it, were it not restored.
    changed = drop(29, on_time(29), adjustment(29, 20, digest="other"))
    assert stale([D20, D21, changed], published) == {20, 29}
    assert stale([D20, D21, drop(29, on_time(29))], published) == {20, 29}
    # Lines of a sale date that it has nothing of.
    apart = drop(29, on_time(29, digest="other"), adjustment(29, 20))
    assert stale([D20, D21, apart], published) == {29}
    assert stale([*drops, drop(28, on_time(28))], published) == {28}


def test_a_restored_date_is_linked_by_the_lines_that_readers_see_of_it_too() -> None:
    # Its first revision held a line of the 10th; the delivery of now does not, and the first came back.
    now = drop(20, on_time(20))
    state = publish(drop(20, on_time(20), adjustment(20, 10)))[day(20)]
    published = {day(20): restored(state, date_inputs([now])[day(20)].linked_hash)}
    assert published[day(20)].sale_dates == {day(10), day(20)}
    assert stale([now], published) == set()
    # The same key of the 10th may come again: published under the 21st too, it would be there twice.
    again = drop(21, adjustment(21, 10))
    assert stale([now, again], published) == {20, 21}


def test_a_restored_date_that_is_empty_now_stands_until_lines_come() -> None:
    emptied = drop(20, fingerprint="f2")
    published = {day(20): restored(publish(D20)[day(20)], no_inputs(day(20)).linked_hash)}
    assert stale([emptied], published) == set()
    assert stale([D20], published) == {20}


def test_inputs_of_a_date() -> None:
    drops = [D20, D21, D29]
    inputs = date_inputs(drops)
    assert set(inputs) == {day(20), day(21), day(29)}
    first, last = inputs[day(20)], inputs[day(29)]
    assert (first.lines, first.drop_dates, first.sale_dates) == (13, {day(20), day(21)}, {day(20)})
    assert (first.resent_sale_dates, first.resent_drop_dates) == (frozenset(), frozenset())
    assert (last.lines, last.drop_dates, last.sale_dates) == (11, {day(29)}, {day(20), day(29)})
    assert (last.resent_sale_dates, last.resent_drop_dates) == ({day(20)}, {day(20), day(21)})
    hashes = {found.inputs_hash for found in inputs.values()} | {no_inputs(day(20)).inputs_hash}
    assert len(hashes) == 4
    nothing = no_inputs(day(20))
    assert (nothing.lines, nothing.drop_dates, nothing.sale_dates, nothing.chunking) == (
        0,
        frozenset(),
        frozenset(),
        None,
    )


def test_a_date_may_hold_lines_that_are_resent_of_its_own_sale_date() -> None:
    inputs = date_inputs([drop(25, adjustment(25, 20)), drop(29, on_time(20))])
    assert inputs[day(20)].resent_sale_dates == {day(20)}
    assert inputs[day(20)].resent_drop_dates == {day(25)}
    assert inputs[day(25)].resent_sale_dates == frozenset()


def test_gross_is_summed_by_currency_and_exactly() -> None:
    most = Decimal("99999999999999999999999999999999999.999")
    drops = [
        drop(20, on_time(20, gross={"USD": most, "JPY": Decimal(500)})),
        drop(21, on_time(20, gross={"USD": Decimal("-0.001"), "KWD": Decimal("1.005")})),
        drop(22, on_time(20, gross={"USD": Decimal("-99999999999999999999999999999999999.997")})),
        drop(23, on_time(23, gross={"USD": Decimal(7)})),
    ]
    inputs = date_inputs(drops)
    assert inputs[day(20)].gross == {
        "USD": Decimal("0.001"),
        "JPY": Decimal(500),
        "KWD": Decimal("1.005"),
    }
    assert inputs[day(23)].gross == {"USD": Decimal(7)}


FOUR, TWO = Chunking("product_name", ("A-G", "H-Z")), Chunking("category", ("A-Z",))


def test_a_date_is_split_as_its_latest_drop_is() -> None:
    chunkings = {day(20): FOUR, day(21): TWO, day(29): FOUR}
    inputs = date_inputs([D21, D20, D29], chunkings)
    assert inputs[day(20)].chunking == TWO
    assert inputs[day(21)].chunking == TWO
    assert inputs[day(29)].chunking == FOUR
    # How lines are split is no content: it makes no date stale.
    assert stale_dates(inputs, publish(D20, D21, D29)) == set()


def test_misplaced_dates_are_published_dates_split_otherwise_now() -> None:
    inputs = date_inputs([D20, D29], {day(20): TWO, day(29): TWO})
    published = {date: replace(state, chunking=FOUR) for date, state in publish(D20, D29).items()}
    assert misplaced_dates(inputs, published) == {day(20), day(29)}
    state = published[day(20)]
    for other in (
        replace(state, chunking=TWO),
        replace(state, chunking=None),
        replace(state, is_restored=True),
        replace(state, revision=0),
    ):
        assert misplaced_dates(inputs, {**published, day(20): other}) == {day(29)}
    # A date that is published for the first time is split anew anyway, and one without a line not at all.
    assert misplaced_dates(inputs, {}) == set()
    assert misplaced_dates({}, published) == set()
    assert misplaced_dates(date_inputs([D20, D29]), published) == set()


def test_content_of_one_date_and_two_sale_dates_is_told_apart() -> None:
    one = drop(29, DateContent(day(29), day(10), True, 1, "a"), DateContent(day(29), day(11), True, 1, "b"))
    other = drop(29, DateContent(day(29), day(10), True, 1, "b"), DateContent(day(29), day(11), True, 1, "a"))
    assert stale([other], publish(one)) == {29}
