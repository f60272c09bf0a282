"""The flow of lines: every line has one place in it."""

from __future__ import annotations

from collections import Counter

from pipeline.planning.reconciliation import ReconciliationKey
from pipeline.report.pages.facts import BilledFacts, DateFacts, DropFacts
from pipeline.report.pages.flow import Flow, flow_of
from pipeline.report.pages.render import render_run
from pipeline.report.pages.sankey import draw_flow
from tests.pipeline.report.pages.made import MONDAY, TUESDAY, balance, run
from tests.pipeline.report.pages.test_render import cells

CAPTION = "Lines from delivered to billed, each with its share of the states before"


def lines(flow: Flow) -> dict[str, int]:
    return {node.key: node.lines for node in flow.nodes}


def is_balanced(flow: Flow) -> bool:
    """What flows into a state, and out of one, is its lines."""
    into, out = Counter[str](), Counter[str]()
    for link in flow.links:
        into[link.target] += link.lines
        out[link.source] += link.lines
    by_key = lines(flow)
    return all(by_key[key] == n for key, n in into.items()) and all(
        by_key[key] == n for key, n in out.items()
    )


def test_lines_of_a_night_from_delivered_to_billed() -> None:
    flow = flow_of(run())
    assert lines(flow) == {
        "delivered": 100,
        "accepted": 90,
        "rejected": 10,
        "published": 80,
        "duplicates": 9,
        "conflicts": 1,
        "billed": 60,
        "walk_in": 20,
    }
    assert is_balanced(flow)


def test_lines_of_earlier_drops_are_published_again_with_a_restated_date() -> None:
    """40 of the 90 received lines came with this drop; of its 50 accepted, 10 wait for Tuesday."""
    drop = DropFacts(TUESDAY, "ingested", 52, 50, 2, content={MONDAY: 40, TUESDAY: 10})
    flow = flow_of(
        run(drops=[drop], dates=[DateFacts(MONDAY, "done", 2), DateFacts(TUESDAY, "blocked", 0, "late")])
    )
    assert lines(flow)["earlier"] == 50
    assert lines(flow)["waiting"] == 10
    assert lines(flow)["accepted"] == 100
    assert is_balanced(flow)


def test_the_share_of_a_state_is_that_of_all_states_before_it() -> None:
    """Of 52 delivered and 50 earlier lines, 100 were accepted."""
    drop = DropFacts(TUESDAY, "ingested", 52, 50, 2, content={MONDAY: 40, TUESDAY: 10})
    facts = run(drops=[drop], dates=[DateFacts(MONDAY, "done", 2)])
    html = render_run(facts)
    rows = {row[0]: row[1:3] for row in cells(html, CAPTION)[1:]}
    assert rows["From earlier drops"] == ["50", ""]
    assert rows["Accepted"] == ["100", "98.0%"]
    assert rows["Rejected"] == ["2", "3.8%"]


def test_a_date_that_failed_waits_with_its_earlier_lines_too() -> None:
    """Of Tuesday's 25 lines, 10 came with this drop."""
    drop = DropFacts(MONDAY, "ingested", 100, 100, 0, content={MONDAY: 90, TUESDAY: 10})
    dates = [DateFacts(MONDAY, "done", 1), DateFacts(TUESDAY, "failed", 1, "it broke")]
    flow = flow_of(run(drops=[drop], dates=dates, waiting={TUESDAY: 25}))
    assert (lines(flow)["waiting"], lines(flow)["earlier"], lines(flow)["accepted"]) == (25, 15, 115)
    assert is_balanced(flow)


def test_a_refused_delivery_is_in_the_flow_whole() -> None:
    drop = DropFacts(MONDAY, "blocked", 100, 90, 10, "too many rejects")
    flow = flow_of(run(drops=[drop], dates=[], balances={}, built={}, billed=None))
    assert lines(flow) == {"delivered": 100, "refused": 100}


def test_published_lines_of_dates_that_were_not_billed_are_named() -> None:
    key = ReconciliationKey(TUESDAY, "A-G", "USD")
    facts = run(
        drops=[],
        dates=[DateFacts(MONDAY, "done", 1), DateFacts(TUESDAY, "done", 1)],
        balances={**run().balances, key: balance(7, 7)},
    )
    assert lines(flow_of(facts))["unbilled"] == 7
    assert is_balanced(flow_of(facts))
    assert lines(flow_of(run(billed=None)))["unbilled"] == 80


def test_lines_that_an_earlier_run_published_and_this_one_billed_are_not_in_the_flow() -> None:
    """Tuesday was published before; its 50 lines on statements are none of Monday's 80."""
    flow = flow_of(run(billed=BilledFacts({MONDAY: 60, TUESDAY: 50})))
    assert (lines(flow)["billed"], lines(flow)["walk_in"], lines(flow).get("unbilled")) == (60, 20, None)
    assert is_balanced(flow)
    only_billed = run(drops=[], dates=[], balances={}, billed=BilledFacts({TUESDAY: 50}))
    assert flow_of(only_billed).nodes == []


def test_a_delivery_that_changed_while_it_was_read_is_in_the_flow_whole() -> None:
    spoiled = DropFacts(TUESDAY, "failed", 7, 6, 1, "its files changed while they were read")
    flow = flow_of(run(drops=[*run().drops, spoiled]))
    assert (lines(flow)["delivered"], lines(flow)["refused"]) == (107, 7)
    assert is_balanced(flow)


def test_accepted_lines_that_are_nowhere_are_a_state_of_their_own() -> None:
    """Of 90 accepted lines of Monday, the reconciliation knows 87."""
    key = ReconciliationKey(MONDAY, "A-G", "USD")
    flow = flow_of(run(balances={**run().balances, key: balance(57, 54, 3)}))
    assert lines(flow)["missing"] == 3
    assert is_balanced(flow)
    uneven = flow_of(run(balances={**run().balances, key: balance(60, 54, 1)}))
    assert lines(uneven)["missing"] == 5


def test_a_run_that_moved_no_line_has_no_flow() -> None:
    assert flow_of(run(drops=[], dates=[], balances={})).nodes == []


def test_the_picture_names_every_state_with_its_number() -> None:
    svg = draw_flow(flow_of(run()), "Lines <b>")
    assert "<b>" not in svg
    for text in ("Delivered", "100", "Rejected", "10", "No customer", "20"):
        assert f">{text}</tspan>" in svg
    assert 'role="img"' in svg
    assert "Duplicates 9; Conflicts 1" in svg
