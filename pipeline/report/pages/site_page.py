"""Renders the overview of all runs, of a year at most."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from markupsafe import Markup

from pipeline.planning.timetable import format_duration
from pipeline.report.pages.files import page_name
from pipeline.report.pages.months import STATES, WEEKDAYS, months_of
from pipeline.report.pages.parts import Picture, Section, Table, count, moment, seconds_text, share
from pipeline.report.pages.render import render, try_to_draw
from pipeline.report.pages.site_facts import DateLine, RunLine, SiteFacts
from pipeline.report.tables import format_margin
from schemas.currencies import format_amount
from schemas.states import RunStatus

_MOST_CURRENCIES = 3
_MOST_CATEGORIES = 7
_SHOWN = 20
# Of runs each hour, a table of a year would take megabytes. Each run has a page of its own.
_MOST_RUNS, _RUNS_OF_A_DATE = 800, 3
_OTHERS = "all others"

Draw = Callable[[Callable[[], Picture]], list[Picture]]


def render_overview(facts: SiteFacts, year: str | None, years: Sequence[int]) -> str:
    """Returns the page.

    Args:
        facts: what it shows.
        year: calendar year that it shows; None for the last twelve months.
        years: calendar years that have a page.
    """
    notes: list[str] = []

    def draw(picture: Callable[[], Picture]) -> list[Picture]:
        return try_to_draw(picture, notes)

    by_state = Counter(line.state for line in facts.dates)
    sections = [
        _failures(facts),
        *_sales(facts, draw),
        _runs(facts, draw),
        _margins(facts, draw),
        _rejects(facts, draw),
        _chunks(facts),
        _dates(facts),
    ]
    return render(
        "site.html.j2",
        title="Sales batch" if year is None else f"Sales batch in {year}",
        sentences=_sentences(facts, by_state),
        months=months_of(facts.dates, run_address),
        weekdays=WEEKDAYS,
        states=[(state, *STATES[state], by_state[state]) for state in STATES],
        sections=[section for section in sections if section is not None],
        years=[(str(y), f"{y}.html") for y in years if str(y) != year],
        is_index=year is None,
        lake=facts.lake,
        notes=notes,
    )


def run_address(run_id: str) -> str:
    """Address of a run's page, relative to the overview."""
    return f"runs/{page_name(run_id)}"


def _link(run: str, text: str | None = None) -> Markup:
    return Markup('<a href="{}">{}</a>').format(run_address(run), text or run)


def _sentences(facts: SiteFacts, by_state: Mapping[str, int]) -> list[str]:
    if not facts.dates:
        return ["The ledger records no business date yet."]
    first, last = facts.dates[0].date, facts.dates[-1].date
    open_dates = by_state.get("failed", 0) + by_state.get("blocked", 0)
    parts = [f"{count(len(facts.dates))} business dates from {first} to {last}."]
    parts.append(
        f"{count(open_dates)} of them failed or are held back; readers see their previous revisions."
        if open_dates
        else "None of them failed or is held back."
    )
    if facts.runs:
        run = facts.runs[-1]
        parts.append(f"The last run, {run.run_id}, {_ended(run)}.")
    return parts


def _ended(run: RunLine) -> str:
    if run.exit_code is None:
        return "recorded no end"
    seconds = run.seconds or 0.0
    at = moment(run.started_at + dt.timedelta(seconds=seconds))
    return f"ended with exit code {run.exit_code} after {format_duration(seconds)}, at {at}"


def _failures(facts: SiteFacts) -> Section | None:
    runs = [run for run in facts.runs if run.status in (RunStatus.FAILED, RunStatus.RUNNING)]
    dates = [line for line in facts.dates if line.state in ("failed", "blocked")]
    if not runs and not dates:
        return None
    section = Section("failures", "Recent failures")
    if dates:
        section.tables.append(
            Table(
                "Dates that failed or are held back, newest first",
                ("Business date", "State", "Revision that readers see", "Run", "Reason"),
                [
                    (str(d.date), STATES[d.state][1], count(d.revision), _link(d.runs[0]), d.reason or "")
                    for d in reversed(dates[-_SHOWN:])
                ],
                text_columns=(0, 1, 3, 4),
            )
        )
    if runs:
        section.tables.append(
            Table(
                f"The last {_SHOWN} runs that failed or recorded no end, newest first",
                ("Run", "Started", "Exit code", "Error"),
                [
                    (
                        _link(run.run_id),
                        moment(run.started_at),
                        "none" if run.exit_code is None else str(run.exit_code),
                        run.error or "",
                    )
                    for run in reversed(runs[-_SHOWN:])
                ],
                text_columns=(0, 1, 3),
            )
        )
    return section


def _sales(facts: SiteFacts, draw: Draw) -> list[Section]:
    return [
        _sales_in(currency, days, draw)
        for currency, days in list(facts.sales.items())[:_MOST_CURRENCIES]
        if days
    ]


def _sales_in(currency: str, days: Mapping[dt.date, Mapping[str, Decimal]], draw: Draw) -> Section:
    from pipeline.report.pages import site_charts

    totals: dict[str, Decimal] = defaultdict(Decimal)
    for parts in days.values():
        for category, net in parts.items():
            totals[category] += abs(net)
    # By name, so that a category has the same colour in every currency.
    largest = sorted(sorted(totals, key=lambda name: -totals[name])[:_MOST_CATEGORIES])
    names = [*largest, _OTHERS] if len(totals) > len(largest) else largest
    by_day = {day: _grouped(parts, largest) for day, parts in sorted(days.items())}
    rows = [(day, name, float(parts.get(name, 0))) for day, parts in by_day.items() for name in names]
    title = f"Net sales by day and category, {currency}"
    section = Section(f"sales-in-{currency.lower()}", title)
    section.pictures += draw(
        lambda: Picture(site_charts.draw_sales(currency, rows, names), f"{title}.", is_wide=True)
    )
    section.tables.append(_sales_table(currency, by_day, names))
    return section


def _grouped(parts: Mapping[str, Decimal], largest: Sequence[str]) -> dict[str, Decimal]:
    grouped: dict[str, Decimal] = defaultdict(Decimal)
    for category, net in parts.items():
        grouped[category if category in largest else _OTHERS] += net
    return dict(grouped)


def _sales_table(
    currency: str, by_day: Mapping[dt.date, Mapping[str, Decimal]], names: Sequence[str]
) -> Table:
    months: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for day, parts in by_day.items():
        for name, net in parts.items():
            months[f"{day:%Y-%m}"][name] += net
    return Table(
        f"Net sales by month and category, {currency}",
        ("Month", "All", *names),
        [
            (
                month,
                format_amount(sum(parts.values(), Decimal(0)), currency),
                *(format_amount(parts.get(name, Decimal(0)), currency) for name in names),
            )
            for month, parts in sorted(months.items())
        ],
    )


def _runs(facts: SiteFacts, draw: Draw) -> Section | None:
    if not facts.runs:
        return None
    from pipeline.report.pages import site_charts

    section = Section("runs", "Time and lines of the runs")
    timed = [
        (r.started_at.date(), r.seconds / 60, r.lines)
        for r in facts.runs
        if r.seconds is not None and r.lines
    ]
    if timed:
        dots, caption = _by_day(timed)
        section.pictures += draw(lambda: Picture(site_charts.draw_runs(dots), caption, is_wide=True))
    if len(facts.runs) > _MOST_RUNS:
        section.words.append(
            f"The latest {_MOST_RUNS} of {count(len(facts.runs))} runs are listed; the folder runs holds the "
            "page of each, ledger/runs all of them."
        )
    section.tables.append(
        Table(
            "Runs, newest first",
            ("Run", "Job", "Started", "State", "Exit code", "Seconds", "Lines", "Margin to the deadline"),
            [
                (
                    _link(run.run_id),
                    run.job,
                    moment(run.started_at),
                    run.status,
                    "none" if run.exit_code is None else str(run.exit_code),
                    "" if run.seconds is None else seconds_text(run.seconds),
                    count(run.lines) if run.lines else "",
                    format_margin(run.margin_seconds),
                )
                for run in reversed(facts.runs[-_MOST_RUNS:])
            ],
            text_columns=(0, 1, 2, 3, 7),
        )
    )
    return section


def _by_day(
    timed: Sequence[tuple[dt.date, float, int]],
) -> tuple[Sequence[tuple[dt.date, float, int]], str]:
    """Day, minutes and lines of each run; of very many, of the longest of each day. And what that shows."""
    if len(timed) <= _MOST_RUNS:
        return timed, "Minutes of each run, and below them its lines."
    longest: dict[dt.date, tuple[dt.date, float, int]] = {}
    for run in timed:
        longest[run[0]] = max(run, longest.get(run[0], run), key=lambda run: run[1])
    return sorted(longest.values()), "Minutes of the longest run of each day, and below them its lines."


def _margins(facts: SiteFacts, draw: Draw) -> Section | None:
    margins = [
        (r.started_at.date(), r.margin_seconds / 60) for r in facts.runs if r.margin_seconds is not None
    ]
    if not margins:
        return None
    from pipeline.report.pages import site_charts

    section = Section("deadlines", "Margins to the deadlines")
    late = sum(minutes < 0 for _, minutes in margins)
    section.words.append(f"{count(late)} of {count(len(margins))} runs with a deadline were late.")
    caption = "Minutes left; below the line a run was late."
    dots: Sequence[tuple[dt.date, float]] = margins
    if len(margins) > _MOST_RUNS:
        smallest: dict[dt.date, float] = {}
        for day, minutes in margins:
            smallest[day] = min(minutes, smallest.get(day, minutes))
        dots, caption = sorted(smallest.items()), f"The smallest of each day. {caption}"
    section.pictures += draw(lambda: Picture(site_charts.draw_margins(dots), caption, is_wide=True))
    section.tables.append(
        Table(
            "The smallest margins",
            ("Run", "Started", "Margin"),
            [
                (_link(run.run_id), moment(run.started_at), format_margin(run.margin_seconds))
                for run in sorted(
                    (run for run in facts.runs if run.margin_seconds is not None),
                    key=lambda run: run.margin_seconds or 0.0,
                )[:_SHOWN]
            ],
            text_columns=(0, 1, 2),
        )
    )
    return section


def _rejects(facts: SiteFacts, draw: Draw) -> Section | None:
    if not facts.rejected:
        return None
    from pipeline.report.pages import site_charts

    section = Section("rejects", "Rejected lines")
    values = {day: float(rejected) for day, (_, rejected) in facts.rejected.items()}
    section.pictures += draw(
        lambda: Picture(
            site_charts.draw_days("rejected", "Rejected lines by drop", "lines", values, bad=True),
            "Rejected lines of the latest delivery of each drop.",
            is_wide=True,
        )
    )
    section.tables.append(
        Table(
            "Rejected lines by drop",
            ("Drop", "Lines", "Rejected", "Share"),
            [
                (str(day), count(lines), count(rejected), share(rejected, lines))
                for day, (lines, rejected) in facts.rejected.items()
            ],
        )
    )
    return section


def _chunks(facts: SiteFacts) -> Section | None:
    if not facts.chunks:
        return None
    section = Section("chunks", "Slowest chunks")
    section.tables.append(
        Table(
            f"The {_SHOWN} chunks with the most task seconds in a run",
            ("Run", "Chunk", "Task seconds", "Partitions", "Failed attempts"),
            [
                (
                    _link(c.run_id),
                    c.chunk,
                    seconds_text(c.task_seconds),
                    count(c.partitions),
                    count(c.failed_attempts),
                )
                for c in facts.chunks[:_SHOWN]
            ],
            text_columns=(0, 1),
        )
    )
    return section


def _dates(facts: SiteFacts) -> Section | None:
    if not facts.dates:
        return None
    section = Section("dates", "Business dates and their runs")
    currencies = list(facts.sales)[:_MOST_CURRENCIES]
    section.tables.append(
        Table(
            "Business dates, newest first",
            ("Business date", "State", "Revision", "Lines", *(f"Net {c}" for c in currencies), "Runs"),
            [_date_row(line, facts, currencies) for line in reversed(facts.dates)],
            text_columns=(0, 1, 4 + len(currencies)),
        )
    )
    return section


def _date_row(line: DateLine, facts: SiteFacts, currencies: Sequence[str]) -> tuple[str | Markup, ...]:
    nets = [facts.sales[c].get(line.date) for c in currencies]
    return (
        str(line.date),
        STATES.get(line.state, ("", line.state))[1],
        count(line.revision) if line.revision else "",
        count(line.lines) if line.lines else "",
        *(
            "" if parts is None else format_amount(sum(parts.values(), Decimal(0)), currency)
            for parts, currency in zip(nets, currencies, strict=True)
        ),
        _links(line.runs),
    )


def _links(runs: Sequence[str]) -> Markup:
    """The newest runs of a date, newest first, and how many there are besides."""
    more = len(runs) - _RUNS_OF_A_DATE
    rest = [Markup(f"{more:,} more")] if more > 0 else []
    return Markup(", ").join([*map(_link, runs[:_RUNS_OF_A_DATE]), *rest])
