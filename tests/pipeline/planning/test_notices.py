"""What messages a run makes: one a failure, one at recovery, none for what people know already."""

from __future__ import annotations

from typing import Any

from pipeline.planning.notices import (
    Notice,
    RunLinks,
    find_problems,
    late_notice,
    notices_of,
    notified_after,
    notified_from_json,
    notified_to_json,
    solved,
)
from schemas.states import NoticeKind

LINKS = RunLinks("run_batch", "R1", "scripts/submit.sh run_batch --lake s3a://KEY:SECRET@bucket/lake")


def result(code: int = 0, **more: Any) -> dict[str, Any]:
    return {"job": "run_batch", "exit_code": code, "drops": [], "dates": [], "error": None, **more}


def date(day: int, status: str, reason: str | None = None) -> dict[str, Any]:
    return {"business_date": f"2026-03-{day:02d}", "status": status, "reason": reason}


def drop(day: int, status: str, reason: str | None = None) -> dict[str, Any]:
    return {"drop_date": f"2026-03-{day:02d}", "status": status, "reason": reason}


class People:
    """What people know, from one run to the next."""

    def __init__(self) -> None:
        self.told: dict[str, str] = {}

    def after(self, ran: dict[str, Any], *, is_whole: bool = True) -> list[Notice]:
        problems = find_problems(ran)
        recovered = solved(self.told, ran, is_whole=is_whole)
        notices = notices_of(problems, self.told, recovered, LINKS)
        self.told = notified_from_json(notified_to_json(notified_after(self.told, problems, recovered)))
        return notices


FAILED = result(3, dates=[date(2, "failed", "chunk H-N failed: disk"), date(3, "done")])


def test_a_failure_is_told_once_with_date_cause_and_command() -> None:
    people = People()
    (notice,) = people.after(FAILED)
    assert notice.kind is NoticeKind.FAILED
    assert notice.title == "run_batch failed: date 2026-03-02"
    assert notice.text.splitlines() == [
        "date 2026-03-02: chunk H-N failed: disk",
        "run again: scripts/submit.sh run_batch --lake s3a://bucket/lake",
        "run R1",
    ]
    assert people.after(FAILED) == []


def test_the_same_failure_with_other_figures_is_the_same() -> None:
    people = People()
    people.after(result(3, dates=[date(2, "failed", "lost 3 of 12 tasks")]))
    assert people.after(result(3, dates=[date(2, "failed", "lost 4 of 12 tasks")])) == []
    (other,) = people.after(result(3, dates=[date(2, "failed", "no space left")]))
    assert "no space left" in other.text
    (held,) = people.after(result(4, dates=[date(2, "blocked", "no space left")]))
    assert held.title == "run_batch held back: date 2026-03-02"


def test_only_what_is_new_is_told() -> None:
    people = People()
    people.after(FAILED)
    (notice,) = people.after(
        result(3, dates=[date(2, "failed", "chunk H-N failed: disk"), date(5, "failed", "x")])
    )
    assert notice.title == "run_batch failed: date 2026-03-05"
    assert "2026-03-02" not in notice.text


def test_a_recovery_is_told_once_and_the_next_failure_again() -> None:
    people = People()
    people.after(FAILED)
    (notice,) = people.after(result(0, dates=[date(2, "done")]), is_whole=False)
    assert (notice.kind, notice.title) == (NoticeKind.RECOVERED, "run_batch recovered: date 2026-03-02")
    assert "run again" not in notice.text
    assert people.after(result(0, dates=[date(2, "done")])) == []
    assert len(people.after(FAILED)) == 1


def test_an_unchanged_run_tells_nothing() -> None:
    assert People().after(result(0)) == []


def test_a_run_over_a_part_solves_only_what_it_did() -> None:
    people = People()
    people.after(result(4, drops=[drop(2, "blocked", "9% rejected")], dates=[date(7, "blocked", "waits")]))
    assert people.after(result(0, dates=[date(8, "done")]), is_whole=False) == []
    (notice,) = people.after(result(0))  # the whole night, and nothing is left
    assert notice.title == "run_batch recovered: date 2026-03-07 and 1 more"
    assert people.told == {}


def test_a_failure_that_no_date_explains_is_the_runs() -> None:
    people = People()
    (busy,) = people.after(result(75, error="run R0 is at work in this lake"))
    assert (busy.title, busy.kind) == ("run_batch failed", NoticeKind.FAILED)
    (wrong,) = people.after(result(2, error="late.days = 'x': must be a number"))
    assert "late.days = …" in wrong.text
    (waits,) = people.after(result(5, error="drop 2026-03-02 is not ready: no such folder"))
    assert waits.kind is NoticeKind.HELD_BACK
    (good,) = people.after(result(0))
    assert good.kind is NoticeKind.RECOVERED


def test_no_line_of_the_data_leaves_the_house() -> None:
    raw = "drop 2026-03-02 is blocked: 9% rejected; for example bad_quantity in a.csv: 1042,T-1,Ada,x"
    (notice,) = People().after(result(1, error=raw))
    assert "Ada" not in notice.text
    (notice,) = People().after(result(3, dates=[date(2, "failed", "[X] value 'Ada' of customer 4711123")]))
    assert "Ada" not in notice.text
    assert "4711123" not in notice.text


def test_many_dates_make_one_short_message_with_its_page() -> None:
    dates = [date(day, "failed", "x") for day in range(1, 29)]
    links = RunLinks("run_batch", "R1", "c", page="reports/R1.html")
    (notice,) = notices_of(find_problems(result(3, dates=dates)), {}, [], links)
    assert notice.title == "run_batch failed: date 2026-03-01 and 27 more"
    assert notice.text.splitlines()[20:] == [
        "and 8 more",
        "run again: c",
        "page: reports/R1.html",
        "run R1",
    ]


def test_late_is_told_in_the_words_of_the_warning() -> None:
    notice = late_notice("publish_sales is expected to end at 06:12, 12 min after its deadline 06:00", LINKS)
    assert notice.title == "run_batch late: publish_sales"
    assert notice.text.startswith("publish_sales is expected to end at 06:12, ")


def test_half_a_file_of_what_was_told_is_none() -> None:
    content = notified_to_json({"date 2026-03-02": "d"})
    assert notified_from_json(content) == {"date 2026-03-02": "d"}
    assert all(notified_from_json(content[:end]) == {} for end in range(len(content)))
    assert notified_from_json(b"[]") == notified_from_json(b'{"problems": 1}') == {}


def test_a_command_for_an_azure_container_stays_one() -> None:
    links = RunLinks("run_batch", "R1", "run_batch --lake abfss://sales@account.dfs.core.windows.net/lake")
    (notice,) = notices_of(find_problems(FAILED), {}, [], links)
    assert "run again: run_batch --lake abfss://sales@account.dfs.core.windows.net/lake" in notice.text


def test_a_cause_names_no_password() -> None:
    failed = result(1, error="ftp://user:s3cr3t@host/lake is gone")
    (notice,) = notices_of(find_problems(failed), {}, [], LINKS)
    assert "run_batch: ftp://host/lake is gone" in notice.text


def test_a_crash_is_told_beside_a_drop_that_people_know_of() -> None:
    drop = {"drop_date": "2026-03-02", "status": "blocked", "reason": "too many rejects"}
    errors = ["drop 2026-03-02 is blocked: too many rejects", "no space left on the disk"]
    crashed = result(1, drops=[drop], error="; ".join(errors))
    notified = notified_after({}, find_problems(result(4, drops=[drop], error=errors[0]), errors[:1]), [])
    assert list(notified) == ["drop 2026-03-02"]
    (notice,) = notices_of(find_problems(crashed, errors), notified, [], LINKS)
    assert notice.title == "run_batch failed"
    assert notice.text.splitlines()[0] == "run_batch: no space left on the disk"


def test_errors_of_dates_and_drops_are_told_by_these_alone() -> None:
    date = {"business_date": "2026-03-02", "status": "blocked", "reason": "waits for drop 2026-03-03"}
    errors = ["1 dates are held back; 2026-03-02: waits", "date 2026-03-02 to 2026-03-04 failed: x"]
    assert list(find_problems(result(4, dates=[date], error="; ".join(errors)), errors)) == [
        "date 2026-03-02"
    ]
