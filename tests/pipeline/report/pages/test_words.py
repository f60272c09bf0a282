"""What a page says in words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pipeline.planning.reconciliation import ReconciliationKey
from pipeline.report.pages.command_lines import does_all_of
from pipeline.report.pages.facts import DateFacts, DocumentFacts, DropFacts, RunFacts
from pipeline.report.pages.flow import flow_of
from pipeline.report.pages.words import Verdict, commands_of, name_dates, verdict_of
from tests.pipeline.report.pages.made import MONDAY, TUESDAY, balance, run


def verdict(**fields: Any) -> Verdict:
    facts = run(**fields)
    return verdict_of(facts, flow_of(facts))


def test_a_good_night_with_a_retry() -> None:
    said = verdict()
    assert (said.state, said.title) == ("good", "run_batch is done, after 2 min")
    assert said.sentences == [
        "100 lines were read in 1 drop: 90 were accepted and 10 were rejected and are kept with their "
        "reasons.",
        "80 lines of 2026-03-02 were published.",
        "Every accepted line of these dates is accounted for, in lines and in money.",
        "60 lines of 2026-03-02 are on customers' statements.",
        "1 attempt of a task failed; Spark ran those tasks again, and nothing was lost.",
    ]
    assert said.to_do == "Nothing needs to be done."


def test_a_line_that_is_not_accounted_for_is_no_good_night() -> None:
    said = verdict(balances={ReconciliationKey(MONDAY, "A-G", "USD"): balance(60, 54, 5, 0)})
    assert (said.state, said.to_do) == ("bad", "Run verify_sales.")
    assert any(sentence.startswith("NOT every accepted line") for sentence in said.sentences)


def test_accepted_lines_that_were_not_received_by_the_publish_are_no_good_night() -> None:
    """The four numbers balance, but of fewer lines than the drops held."""
    said = verdict(balances={ReconciliationKey(MONDAY, "A-G", "USD"): balance(60, 54, 5, 1)})
    assert (said.state, said.to_do) == ("bad", "Run verify_sales.")
    assert any(sentence.startswith("NOT every accepted line") for sentence in said.sentences)


def test_a_run_that_only_built_or_issued_says_so() -> None:
    nothing: dict[str, Any] = {"drops": [], "dates": [], "balances": {}, "billed": None, "attempts": []}
    said = verdict(**nothing, tasks=[], built={"gold/shares": [MONDAY]})
    assert said.sentences == ["The run built gold/shares, and changed no drop and no date."]
    documents = [
        DocumentFacts("invoice", "USD", 2, Decimal(7)),
        DocumentFacts("credit_note", "USD", 1, Decimal(-1)),
    ]
    said = verdict(**nothing, tasks=[], built={"billing/documents": [MONDAY]}, documents=documents)
    assert said.sentences == ["3 billing documents were issued."]


@pytest.mark.parametrize(
    ("fields", "state", "to_do"),
    [
        ({"exit_code": None, "ended_at": None, "is_running": True}, "running", "Wait until it ends"),
        ({"exit_code": None, "ended_at": None}, "bad", "Run the same command again: it completes or undoes"),
        (
            {"exit_code": None, "ended_at": None, "followed_by": ("next", 0), "is_finished": True},
            "warning",
            "Nothing needs to be done: a later run of the same command did what was left.",
        ),
        (  # maintain_tables may have followed, or the same job for other dates
            {"exit_code": None, "ended_at": None, "followed_by": ("next", 0)},
            "bad",
            "Run the same command again",
        ),
        (
            {"exit_code": None, "ended_at": None, "followed_by": ("next", 3)},
            "bad",
            "Run the same command again",
        ),
        ({"exit_code": 3}, "bad", "Look at the dates that failed below, then run the same command again"),
        ({"exit_code": 4}, "bad", "An audit stopped something"),
        ({"exit_code": 5}, "bad", "Deliver what is missing"),
        ({"exit_code": 75}, "bad", "Nothing is wrong with the data: run the same command again."),
    ],
)
def test_each_end_says_what_to_do(fields: dict[str, Any], state: str, to_do: str) -> None:
    said = verdict(status="failed", **fields)
    assert said.state == state
    assert said.to_do.startswith(to_do)


def test_a_cut_off_run_tells_what_stands_and_who_went_on() -> None:
    said = verdict(status="running", exit_code=None, ended_at=None, followed_by=("r-2", None))
    assert said.sentences[-2:] == [
        "What it had committed stands, and what it had not committed is in no table that readers see.",
        "The next run in this lake, r-2, has recorded no end.",
    ]


def test_a_failed_date_keeps_its_revision_and_a_refused_drop_says_why() -> None:
    said = verdict(
        status="failed",
        exit_code=3,
        drops=[DropFacts(MONDAY, "blocked", 5, 5, 0, "too many")],
        dates=[DateFacts(MONDAY, "failed", 1, "it broke"), DateFacts(TUESDAY, "failed", 0, "too")],
        waiting={MONDAY: 7, TUESDAY: 0},
        balances={},
        built={},
        billed=None,
    )
    kept = "Nothing is lost: the 7 accepted lines of these dates are kept for the next run to publish."
    assert kept in said.sentences
    assert "2026-03-02 (and 1 more date) failed, readers still see revision 1: it broke." in said.sentences
    assert "Drop 2026-03-02 was refused: too many." in said.sentences


def test_nothing_new() -> None:
    said = verdict(
        status="unchanged", drops=[], dates=[], balances={}, built={}, billed=None, tasks=[], attempts=[]
    )
    assert (said.state, said.title) == ("good", "run_batch found nothing new")
    assert said.sentences == [
        "Nothing was new: no drop had changed and no date was stale, so nothing was changed."
    ]


def test_commands_work_on_the_same_lake_with_the_same_settings() -> None:
    lines = {command.purpose: command.line for command in commands_of(run())}
    where = "--landing l --lake k --set 'currencies=[USD, JPY]'"
    replay = f"scripts/submit.sh --place local replay_quarantine {where} --date 2026-03-02 --reason"
    assert list(lines.values()) == [
        f"scripts/submit.sh --place local verify_sales {where}",
        f"scripts/submit.sh --place local status {where}",
        f"scripts/submit.sh --place local run_batch {where} --date 2026-03-02",
        f"{replay} bad_quantity",
        f"{replay} missing_store_id",
        f"scripts/submit.sh --place local report_runs {where} --run {run().run_id}",
    ]


def test_many_dates_are_named_by_the_first_and_the_last() -> None:
    facts: RunFacts = run()
    assert name_dates(facts.done_dates) == "2026-03-02"
    assert (
        name_dates([MONDAY.replace(day=day) for day in range(1, 6)])
        == "5 dates from 2026-03-01 to 2026-03-05"
    )


@pytest.mark.parametrize(
    ("later", "does_all"),
    [
        ("--lake k --date 2026-03-02", True),
        ("--lake k", True),
        ("--lake k --report pages --wait 5", True),
        ("--lake k --date 2026-03-03", False),
        ("--lake other", False),
        ("--lake k --set late.days=3", False),
        ("--lake k --republish", False),
    ],
)
def test_a_later_command_may_do_all_of_an_earlier_one(later: str, does_all: bool) -> None:
    assert does_all_of(later.split(), ["--lake", "k", "--date", "2026-03-02", "--result=r.json"]) == does_all
