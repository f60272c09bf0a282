"""Decides what to send messages about: new problems of a run, and problems that it solved."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.planning.recovery import without_values
from pipeline.planning.shown_text import EXAMPLE
from schemas.addresses import without_secrets
from schemas.states import DateStatus, DropStatus, ExitCode, NoticeKind

_SHOWN = 20
_CAUSE_LENGTH = 300
_OF_STATUS: Mapping[str, NoticeKind] = {
    DateStatus.FAILED: NoticeKind.FAILED,
    DateStatus.BLOCKED: NoticeKind.HELD_BACK,
    DropStatus.FAILED: NoticeKind.FAILED,
    DropStatus.BLOCKED: NoticeKind.HELD_BACK,
}
_SOLVED = (DateStatus.DONE, DropStatus.INGESTED, DropStatus.UNCHANGED)
_WAITS = (ExitCode.AUDIT, ExitCode.NOT_READY)
# What the outcome of dates and drops does not explain.
_OF_THE_RUN = (ExitCode.USAGE, ExitCode.NOT_READY, ExitCode.TRY_AGAIN)
_OF_A_SUBJECT = re.compile(r"(date|drop) \d{4}-\d\d-\d\d\b|\d+ dates are held back;")


@dataclass(frozen=True)
class Problem:
    """Why a date, a drop or a run needs a person.

    Attributes:
        kind: failed or held back.
        cause: why, without values of the data.
    """

    kind: NoticeKind
    cause: str

    @property
    def digest(self) -> str:
        """Equal for the same failure on another day or host: figures do not count."""
        return hashlib.sha256(re.sub(r"\d+", "#", f"{self.kind} {self.cause}").encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Notice:
    """A message.

    Attributes:
        kind: what it is about.
        title: its first line.
        text: cause by date, the command, the page.
    """

    kind: NoticeKind
    title: str
    text: str

    def as_json(self) -> dict[str, str]:
        """The message in a result."""
        return asdict(self)


@dataclass(frozen=True)
class RunLinks:
    """What a message refers to.

    Attributes:
        job: job of the run.
        run_id: the run.
        command: the command to run again.
        page: path or address of the run's page; None if there is none.
    """

    job: str
    run_id: str
    command: str
    page: str | None = None


Notified = Mapping[str, str]


def find_problems(result: Mapping[str, Any], errors: Sequence[str] = ()) -> dict[str, Problem]:
    """The problems of a run, by what has them: ``date D``, ``drop D``, or the job.

    Args:
        result: result of the run.
        errors: its errors one by one; a crash is told beside a date or a drop that has a problem.
    """
    problems = {}
    for subject, row in _subjects(result):
        kind = _OF_STATUS.get(row["status"])
        if kind is not None:
            problems[subject] = Problem(kind, _safe(row["reason"]))
    code = ExitCode(result["exit_code"])
    own = [error for error in errors if not _OF_A_SUBJECT.match(error)]
    if code in _OF_THE_RUN or (code and (own or not problems)):
        kind = NoticeKind.HELD_BACK if code in _WAITS else NoticeKind.FAILED
        is_apart = own and code not in _OF_THE_RUN
        problems[result["job"]] = Problem(kind, _safe("; ".join(own) if is_apart else result["error"]))
    return problems


def solved(notified: Notified, result: Mapping[str, Any], *, is_whole: bool) -> list[str]:
    """Which problems, told of before, a run solved.

    Args:
        notified: digest of each problem that people were told of, by what has it.
        result: result of the run.
        is_whole: whether the run looked at every drop and every date.
    """
    if is_whole and result["exit_code"] == ExitCode.DONE:
        return sorted(notified)
    good = {subject for subject, row in _subjects(result) if row["status"] in _SOLVED}
    if result["exit_code"] == ExitCode.DONE:
        good.add(result["job"])
    return sorted(good & set(notified))


def notices_of(
    problems: Mapping[str, Problem], notified: Notified, recovered: Sequence[str], links: RunLinks
) -> list[Notice]:
    """One message for new failures, one for what is newly held back, one for what recovered.

    Args:
        problems: the problems of the run.
        notified: what people were told of before: the same problem makes no second message.
        recovered: what the run solved.
        links: what the messages refer to.
    """
    notices = []
    for kind in (NoticeKind.FAILED, NoticeKind.HELD_BACK):
        new = {
            subject: problem
            for subject, problem in sorted(problems.items())
            if problem.kind is kind and notified.get(subject) != problem.digest
        }
        if new:
            lines = [f"{subject}: {problem.cause}" for subject, problem in new.items()]
            notices.append(_notice(kind, list(new), lines, links))
    if recovered:
        notices.append(_notice(NoticeKind.RECOVERED, recovered, [], links))
    return notices


def late_notice(text: str, links: RunLinks) -> Notice:
    """The message that a stage is or will be late, in the words of the run's warning."""
    return _notice(NoticeKind.LATE, [text.partition(" ")[0].rstrip(":")], [text], links)


def notified_after(
    notified: Notified, problems: Mapping[str, Problem], recovered: Collection[str]
) -> dict[str, str]:
    """What people know of after these messages."""
    kept = {subject: digest for subject, digest in notified.items() if subject not in recovered}
    return kept | {subject: problem.digest for subject, problem in problems.items()}


def notified_to_json(notified: Notified) -> bytes:
    """What people know of, to be kept for the next run."""
    return json.dumps({"problems": dict(sorted(notified.items()))}).encode()


def notified_from_json(content: bytes) -> dict[str, str]:
    """Reads what :func:`notified_to_json` wrote; empty for half a file: at worst a message comes twice."""
    try:
        problems = json.loads(content)["problems"]
        return {str(subject): str(digest) for subject, digest in problems.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _subjects(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    drops = [(f"drop {row['drop_date']}", row) for row in result["drops"]]
    return drops + [(f"date {row['business_date']}", row) for row in result["dates"]]


def _notice(kind: NoticeKind, subjects: Sequence[str], lines: Sequence[str], links: RunLinks) -> Notice:
    what = kind.replace("_", " ")
    others = f" and {len(subjects) - 1} more" if len(subjects) > 1 else ""
    first = "" if list(subjects) == [links.job] else f": {subjects[0]}{others}"
    shown = list(lines[:_SHOWN]) or list(subjects[:_SHOWN])
    left = len(lines or subjects) - len(shown)
    if left:
        shown.append(f"and {left} more")
    if kind is not NoticeKind.RECOVERED:
        shown.append(f"run again: {links.command}")
    if links.page is not None:
        shown.append(f"page: {links.page}")
    shown.append(f"run {links.run_id}")
    return Notice(kind, f"{links.job} {what}{first}", without_secrets("\n".join(shown)))


def _safe(cause: str | None) -> str:
    """A cause as it may leave the house: without an example line and without quoted values."""
    return without_values((cause or "no cause given").partition(EXAMPLE)[0])[:_CAUSE_LENGTH]
