"""What a run's page says in words: what happened, whether all is accounted for, what to do, and commands."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.planning.timetable import format_duration
from pipeline.report.pages.command_lines import WHEN, WHERE, options_of
from pipeline.report.pages.facts import RECORDED_AGAIN, DateFacts, RunFacts
from pipeline.report.pages.flow import Flow
from pipeline.report.pages.parts import plural
from schemas.states import DateStatus, DropStatus, ExitCode, RunStatus

_NAMED = 3
_TO_DO = {
    ExitCode.UNEXPECTED: "Look at the error below, then run the same command again: it does what is left.",
    ExitCode.USAGE: "Correct the command or the config as the error says, then run it again.",
    ExitCode.SOME_DATES_FAILED: "Look at the dates that failed below, then run the same command again: "
    "it does what is left.",
    ExitCode.AUDIT: "An audit stopped something: look at the reasons below. A corrected delivery, or a "
    "limit that was meant to be higher, lets the same command go on.",
    ExitCode.NOT_READY: "Deliver what is missing, then run the same command again.",
    ExitCode.TRY_AGAIN: "Nothing is wrong with the data: run the same command again.",
}


@dataclass(frozen=True)
class Verdict:
    """The first words of a page.

    Attributes:
        state: ``good``, ``warning``, ``bad`` or ``running``; decides colour and sign.
        title: the run in a few words.
        sentences: what happened, and whether everything is accounted for.
        to_do: what to do now.
    """

    state: str
    title: str
    sentences: list[str] = field(default_factory=list)
    to_do: str = "Nothing needs to be done."


@dataclass(frozen=True)
class Command:
    """A command, and what it is for."""

    purpose: str
    line: str


def verdict_of(facts: RunFacts, flow: Flow) -> Verdict:
    """Says what happened in plain sentences."""
    is_accounted = facts.is_reconciled and not flow.lines("missing")
    state, title, to_do = _ending(facts, is_accounted)
    sentences = [
        *_what_was_recorded(facts),
        *_what_came(flow, facts),
        *_what_was_published(facts, is_accounted),
        *_trouble(facts),
    ]
    if not sentences and facts.built:
        sentences = [f"The run built {', '.join(facts.built)}, and changed no drop and no date."]
    if not sentences:
        sentences = [
            "Nothing was new: no drop had changed and no date was stale, so nothing was changed."
            if facts.status == RunStatus.UNCHANGED
            else "The run changed no drop and no date."
        ]
    return Verdict(state, title, [*sentences, *_how_it_went_on(facts)], to_do)


def commands_of(facts: RunFacts) -> list[Command]:
    """Returns the commands to verify the dates, to resume the run, and to replay what was rejected."""
    where, when = options_of(facts.arguments, WHERE), options_of(facts.arguments, WHEN)
    submit = ["scripts/submit.sh", "--place", facts.target]
    commands = [
        Command(
            "Verify from the tables that every line is accounted for", _line(submit, "verify_sales", where)
        ),
        Command("See how far each date is", _line(submit, "status", where)),
        Command(
            "Run the same command again: it does only what is left", _line(submit, facts.job, facts.arguments)
        ),
    ]
    for reason in sorted(facts.rejected or {}, key=lambda name: -(facts.rejected or {})[name])[:_NAMED]:
        replay = [*where, *when, "--reason", reason]
        commands.append(
            Command(
                f"Validate the lines rejected for {reason} again, after a correction",
                _line(submit, "replay_quarantine", replay),
            )
        )
    again = [*where, "--run", facts.run_id]
    return [*commands, Command("Make this page again", _line(submit, "report_runs", again))]


def name_dates(dates: Iterable[dt.date]) -> str:
    """Names dates: one, a few, or the first and the last of many."""
    ordered = sorted(dates)
    if len(ordered) <= _NAMED:
        return ", ".join(map(str, ordered))
    return f"{len(ordered):,} dates from {ordered[0]} to {ordered[-1]}"


def _ending(facts: RunFacts, is_accounted: bool) -> tuple[str, str, str]:
    """State, title and what to do."""
    nothing = "Nothing needs to be done."
    if facts.exit_code is None:
        if facts.is_running:
            return (
                "running",
                f"{facts.job} is still at work",
                "Wait until it ends, then make this page again.",
            )
        return _cut_off(facts)
    took = format_duration(facts.seconds or 0.0)
    if facts.exit_code == ExitCode.DONE:
        if facts.status == RunStatus.UNCHANGED:
            return "good", f"{facts.job} found nothing new", nothing
        if not is_accounted:
            return "bad", f"{facts.job} ended, but lines are not accounted for", "Run verify_sales."
        late = any(stage.margin_seconds is not None and stage.margin_seconds < 0 for stage in facts.stages)
        return ("warning" if late else "good"), f"{facts.job} is done, after {took}", nothing
    to_do = _TO_DO[ExitCode(facts.exit_code)]
    return "bad", f"{facts.job} ended with exit code {facts.exit_code} after {took}", to_do


def _cut_off(facts: RunFacts) -> tuple[str, str, str]:
    title = f"{facts.job} was cut off before it ended"
    if facts.is_finished:
        return (
            "warning",
            title,
            "Nothing needs to be done: a later run of the same command did what was left.",
        )
    return (
        "bad",
        title,
        "Run the same command again: it completes or undoes what was cut off, then does the rest.",
    )


def _what_was_recorded(facts: RunFacts) -> list[str]:
    dates = sum(date.status == RECORDED_AGAIN for date in facts.dates)
    if not dates:
        return []
    return [f"The run published nothing; it recorded again what readers see of {plural(dates, 'date')}."]


def _what_came(flow: Flow, facts: RunFacts) -> list[str]:
    if not any(drop.lines or drop.status == DropStatus.INGESTED for drop in facts.drops):
        return []
    drops = plural(len(facts.drops), "drop")
    lines = flow.lines("delivered")
    ingested = sum(drop.accepted for drop in facts.drops if drop.status == DropStatus.INGESTED)
    rejected, refused = flow.lines("rejected"), flow.lines("refused")
    parts = [f"{ingested:,} were accepted", f"{rejected:,} were rejected and are kept with their reasons"]
    if refused:
        parts.append(f"{refused:,} came in deliveries that were refused whole")
    return [f"{plural(lines, 'line')} were read in {drops}: {_join(parts)}."]


def _what_was_published(facts: RunFacts, is_accounted: bool) -> list[str]:
    done = facts.done_dates
    sentences = []
    if done:
        lines = sum(balance.published.lines for balance in facts.balances.values())
        sentences.append(f"{plural(lines, 'line')} of {name_dates(done)} were published.")
        sentences.append(
            "Every accepted line of these dates is accounted for, in lines and in money."
            if is_accounted
            else "NOT every accepted line of these dates is accounted for: see the reconciliation."
        )
    if facts.billed is not None:
        dates = name_dates(facts.billed.lines)
        lines = sum(facts.billed.lines.values())
        sentences.append(f"{plural(lines, 'line')} of {dates} are on customers' statements.")
    if facts.documents:
        number = sum(row.documents for row in facts.documents)
        sentences.append(f"{plural(number, 'billing document')} {'was' if number == 1 else 'were'} issued.")
    return sentences


def _trouble(facts: RunFacts) -> list[str]:
    sentences = []
    failed = _attempts_that_failed(facts)
    if failed and facts.exit_code == ExitCode.DONE:
        attempts = "1 attempt of a task" if failed == 1 else f"{failed:,} attempts of tasks"
        sentences.append(f"{attempts} failed; Spark ran those tasks again, and nothing was lost.")
    for status, verb in ((DateStatus.FAILED, "failed"), (DateStatus.BLOCKED, "was held back")):
        lost = [date for date in facts.dates if date.status == status]
        if lost:
            sentences.append(_kept(lost, verb))
    if sum(facts.waiting.values()):
        lines = plural(sum(facts.waiting.values()), "accepted line")
        sentences.append(f"Nothing is lost: the {lines} of these dates are kept for the next run to publish.")
    for outcome, verb in ((DropStatus.BLOCKED, "was refused"), (DropStatus.FAILED, "could not be read")):
        drops = [drop for drop in facts.drops if drop.status == outcome]
        if drops:
            more = f" (and {len(drops) - 1:,} more)" if len(drops) > 1 else ""
            sentences.append(f"Drop {drops[0].date}{more} {verb}: {drops[0].reason or 'no reason given'}.")
    return sentences


def _attempts_that_failed(facts: RunFacts) -> int:
    counted = sum(chunk.failed_attempts for chunk in facts.tasks)
    return counted or sum(attempt.state == "FAILED" for attempt in facts.attempts)


def _kept(dates: Sequence[DateFacts], verb: str) -> str:
    first = dates[0]
    revision = f"readers still see revision {first.revision}" if first.revision else "it has no revision yet"
    more = f" (and {plural(len(dates) - 1, 'more date')})" if len(dates) > 1 else ""
    return f"{first.date}{more} {verb}, {revision}: {first.reason or 'no reason given'}."


def _how_it_went_on(facts: RunFacts) -> list[str]:
    if facts.exit_code is not None or facts.is_running:
        return []
    kept = "What it had committed stands, and what it had not committed is in no table that readers see."
    if facts.followed_by is None:
        return [kept]
    run_id, code = facts.followed_by
    ended = "has recorded no end" if code is None else f"ended with exit code {code}"
    return [kept, f"The next run in this lake, {run_id}, {ended}."]


def _line(submit: Sequence[str], job: str, arguments: Sequence[str]) -> str:
    return shlex.join([*submit, job, *arguments])


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
