"""The sections of a run's page, made of its facts. Each has its numbers in a table under its pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from pipeline.planning.attempts import SUCCESS, ChunkAttempt
from pipeline.planning.reconciliation import Balance, totals_by
from pipeline.planning.recovery import first_cause
from pipeline.report.pages.facts import RunFacts
from pipeline.report.pages.flow import Flow
from pipeline.report.pages.lanes import lay_out, outliers
from pipeline.report.pages.parts import (
    Picture,
    Section,
    Table,
    count,
    moment,
    plural,
    seconds_text,
    share,
)
from pipeline.report.pages.sankey import draw_flow
from pipeline.report.tables import format_margin
from schemas.currencies import format_amount
from schemas.states import OTHER_CHUNK, DateStatus
from schemas.tables import RECONCILED_SHARES

# Draws charts; None where the packages of the extra `report` are missing.
Draw = Callable[[Callable[[], Picture]], list[Picture]]
# A page lists at most this many dates: years of them make it slow to open.
_MOST_DATES = 400
_MOST_CURRENCIES = 3
_MOST_REASONS = 10
_MOST_DOTS = 400
_MOST_ATTEMPTS = 300


def sections_of(facts: RunFacts, flow: Flow, draw: Draw) -> list[Section]:
    """Returns the sections of a page that have something to show, in order."""
    sections = [
        _flow(flow),
        _attempts(facts, draw),
        _chunks(facts, draw),
        _sizes(facts, draw),
        _rejects(facts, draw),
        _reconciliation(facts),
        _stages(facts, draw),
        _drops_and_dates(facts),
        _built(facts),
        _settings(facts),
    ]
    return [section for section in sections if section is not None]


def _flow(flow: Flow) -> Section | None:
    if not flow.nodes:
        return None
    section = Section("flow", "Where every line went")
    section.pictures.append(
        Picture(
            draw_flow(flow, "Lines from delivered to billed"), "Lines from delivered to billed.", is_wide=True
        )
    )
    before: dict[str, int] = defaultdict(int)
    for link in flow.links:
        before[link.target] += flow.lines(link.source)
    section.tables.append(
        Table(
            "Lines from delivered to billed, each with its share of the states before",
            ("State", "Lines", "Share", "Meaning"),
            [
                (
                    node.label,
                    count(node.lines),
                    share(node.lines, before[node.key]),
                    node.meaning,
                )
                for node in flow.nodes
            ],
            text_columns=(0, 3),
        )
    )
    return section


def _attempts(facts: RunFacts, draw: Draw) -> Section | None:
    if not facts.tasks and not facts.attempts:
        return None
    section = Section("attempts", "Chunks on their workers")
    if facts.attempts:
        _add_gantt(section, facts.attempts, draw)
    else:
        section.words.append(
            "When each task ran is not known: it takes Spark's event log (CYMBAL_EVENTS), or a page that "
            "the run itself wrote (--report)."
        )
    if facts.tasks:
        section.tables.append(
            Table(
                "Tasks by chunk",
                ("Chunk", "Partitions", "Attempts", "Failed attempts", "Task seconds", "Causes"),
                [
                    (
                        chunk.chunk,
                        count(chunk.partitions),
                        count(chunk.tasks),
                        count(chunk.failed_attempts),
                        seconds_text(chunk.task_seconds),
                        "; ".join(chunk.failures),
                    )
                    for chunk in facts.tasks
                ],
                text_columns=(0, 5),
            )
        )
    return section


def _add_gantt(section: Section, attempts: Sequence[ChunkAttempt], draw: Draw) -> None:
    from pipeline.report.pages import charts

    failed = sum(a.state != SUCCESS for a in attempts)
    again = sum(a.is_retry for a in attempts)
    workers = len({a.worker for a in attempts})
    most = max((a.waited_seconds for a in attempts), default=0.0)
    retries = "1 was a retry" if again == 1 else f"{count(again)} were retries"
    section.words.append(
        f"{plural(len(attempts), 'attempt')} on {plural(workers, 'worker')}; {count(failed)} failed or "
        f"ended early, {retries}. The longest wait for a core was {seconds_text(most)} s."
    )
    gantt = lay_out(attempts)
    merged = (
        " There are many: ordinary attempts that follow each other are one bar." if gantt.is_merged else ""
    )
    caption = (
        "Each bar is an attempt of a task, coloured by its chunk. ✗ with a broken outline: it failed or "
        f"ended early. ↻: it ran again. Below: how many tasks waited for a core.{merged}"
    )
    described = f"{section.words[-1]} The table lists those that failed, ran again or were slow."
    section.pictures += draw(
        lambda: Picture(charts.draw_gantt(attempts, _in_order(attempts), described), caption, is_wide=True)
    )
    start = min(a.ready_ms for a in attempts)
    found = outliers(attempts)
    named = found[:_MOST_ATTEMPTS] or sorted(attempts, key=lambda a: -a.seconds)[:5]
    if len(found) > len(named):
        section.words.append(
            f"The table lists the first {count(len(named))} of {count(len(found))} attempts that failed, ran "
            "again or were slow."
        )
    section.tables.append(
        Table(
            "Attempts that failed, ran again or were slow" if found else "The slowest attempts",
            (
                "Chunk",
                "Partition",
                "Attempt",
                "Worker",
                "Outcome",
                "Waited s",
                "Started at s",
                "Ran s",
                "Lines",
                "Cause",
            ),
            [
                (
                    a.chunk,
                    count(a.partition),
                    count(a.number),
                    a.worker,
                    _outcome(a),
                    seconds_text(a.waited_seconds),
                    seconds_text((a.started_ms - start) / 1000),
                    seconds_text(a.seconds),
                    count(a.lines) if a.state == SUCCESS else "",
                    first_cause(a.cause) if a.cause else "",
                )
                for a in named
            ],
            text_columns=(0, 3, 4, 9),
        )
    )


def _outcome(attempt: ChunkAttempt) -> str:
    names = {
        "SUCCESS": "done",
        "FAILED": "failed",
        "KILLED": "ended by Spark",
        "CUT_OFF": "cut off with the driver",
    }
    return names.get(attempt.state, attempt.state.lower())


def _chunks(facts: RunFacts, draw: Draw) -> Section | None:
    if not facts.balances:
        return None
    from pipeline.report.pages import charts

    section = Section("chunks", "Lines and money by chunk")
    lines = totals_by(facts.balances, lambda key: key.chunk)
    money_of = totals_by(facts.balances, lambda key: (key.chunk, key.currency))
    chunks = sorted(lines, key=_chunk_order)
    received = {chunk: lines[chunk].received.lines for chunk in chunks}
    section.pictures += draw(
        lambda: Picture(
            charts.draw_bars(
                "lines",
                "Received lines by chunk",
                received,
                {c: count(n) for c, n in received.items()},
                by_chunk=True,
            ),
            "Received lines by chunk.",
        )
    )
    currencies = sorted({currency for _, currency in money_of})
    for currency in currencies[:_MOST_CURRENCIES]:
        gross = {c: money_of[c, currency].published.gross for c in chunks if (c, currency) in money_of}
        section.pictures += draw(lambda: _money_picture(currency, gross))  # noqa: B023  # drawn at once
    total = sum(received.values())
    section.tables.append(
        Table(
            "Lines and published gross by chunk",
            ("Chunk", "Received lines", "Share", *(f"Published {currency}" for currency in currencies)),
            [
                (
                    chunk,
                    count(received[chunk]),
                    share(received[chunk], total),
                    *(
                        format_amount(money_of[chunk, c].published.gross, c) if (chunk, c) in money_of else ""
                        for c in currencies
                    ),
                )
                for chunk in chunks
            ],
        )
    )
    return section


def _money_picture(currency: str, gross: Mapping[str, Decimal]) -> Picture:
    from pipeline.report.pages import charts

    title = f"Published gross by chunk, {currency}"
    labels = {chunk: format_amount(amount, currency) for chunk, amount in gross.items()}
    values = {chunk: float(amount) for chunk, amount in gross.items()}
    return Picture(
        charts.draw_bars(f"gross-{currency.lower()}", title, values, labels, by_chunk=True), f"{title}."
    )


def _sizes(facts: RunFacts, draw: Draw) -> Section | None:
    done = [a for a in facts.attempts if a.state == SUCCESS]
    if not done and facts.hot_key is None:
        return None
    from pipeline.report.pages import charts

    section = Section("sizes", "Sizes of the tasks, and the hot key")
    if facts.hot_key is not None:
        section.words.append(_hot_key(facts))
    if done:
        by_chunk: dict[str, list[int]] = defaultdict(list)
        for attempt in done:
            by_chunk[attempt.chunk].append(attempt.lines)
        chunks = sorted(by_chunk, key=_chunk_order)
        described = f"{count(len(done))} tasks; the table gives smallest, median and largest by chunk."
        dots = {chunk: _to_draw(sorted(by_chunk[chunk])) for chunk in chunks}
        meaning = (
            "a task" if sum(map(len, dots.values())) == len(done) else "one in a hundred tasks of its chunk"
        )
        section.pictures += draw(
            lambda: Picture(
                charts.draw_task_sizes(dots, described), f"Each dot is {meaning} and the lines that it wrote."
            )
        )
        section.tables.append(
            Table(
                "Lines of a task, by chunk",
                ("Chunk", "Tasks", "Smallest", "Median", "Largest", "Largest to median"),
                [_size_row(chunk, sorted(by_chunk[chunk])) for chunk in chunks],
            )
        )
    return section


def _to_draw(sizes: Sequence[int]) -> Sequence[int]:
    """The sizes; of very many, every hundredth part, with the smallest and the largest."""
    if len(sizes) <= _MOST_DOTS:
        return sizes
    return [sizes[round(step * (len(sizes) - 1) / 100)] for step in range(101)]


def _hot_key(facts: RunFacts) -> str:
    key = facts.hot_key
    if key is None:
        return ""
    named = f"“{key.value}”" if key.value is not None else "one value (named with report.samples: true)"
    return (
        f"The hot key: {named} is the {key.column} with the most lines, {count(key.lines)} of "
        f"{count(key.of_lines)} ({share(key.lines, key.of_lines)}) in {key.table}. "
        "Lines of one key are spread over all tasks of its chunk, so a hot key makes no task larger than "
        "the others."
    )


def _size_row(chunk: str, sizes: Sequence[int]) -> tuple[str, ...]:
    median = sizes[len(sizes) // 2]
    ratio = f"{sizes[-1] / median:.2f}" if median else ""
    return chunk, count(len(sizes)), count(sizes[0]), count(median), count(sizes[-1]), ratio


def _rejects(facts: RunFacts, draw: Draw) -> Section | None:
    if facts.rejected is not None and not facts.rejected:
        return None
    section = Section("rejects", "Rejected lines by reason")
    if facts.rejected is None:
        section.words.append("The reasons could not be read.")
        return section
    from pipeline.report.pages import charts

    rejected = dict(sorted(facts.rejected.items(), key=lambda item: (-item[1], item[0])))
    unnamed = "" if facts.samples is not None else " Samples are shown with report.samples: true."
    section.words.append(f"A line that breaks several rules counts for each of them.{unnamed}")
    most = dict(list(rejected.items())[:_MOST_REASONS])
    caption = "Rejected lines by reason" + (
        f", the {_MOST_REASONS} most frequent." if len(most) < len(rejected) else "."
    )
    section.pictures += draw(
        lambda: Picture(
            charts.draw_bars(
                "rejected", caption.rstrip("."), most, {r: count(n) for r, n in most.items()}, bad=True
            ),
            caption,
        )
    )
    if facts.samples is None:
        rows = [(reason, count(lines)) for reason, lines in rejected.items()]
        section.tables.append(Table("Rejected lines by reason", ("Reason", "Lines"), rows))
    else:
        rows_with = [
            (reason, count(lines), "\n".join((facts.samples or {}).get(reason, ())))
            for reason, lines in rejected.items()
        ]
        section.tables.append(
            Table(
                "Rejected lines by reason, with samples as received",
                ("Reason", "Lines", "Samples"),
                rows_with,
                text_columns=(0, 2),
            )
        )
    return section


def _reconciliation(facts: RunFacts) -> Section | None:
    if not facts.balances:
        return None
    section = Section("reconciliation", "Reconciliation")
    section.words.append(
        "received = published + duplicates + conflicts holds for every date, chunk and currency, in lines, "
        "in gross and in absolute gross."
        if facts.is_reconciled
        else "received = published + duplicates + conflicts does NOT hold: see “left over”."
    )
    by_chunk = totals_by(facts.balances, lambda key: key.chunk)
    by_currency = totals_by(facts.balances, lambda key: key.currency)
    whole = totals_by(facts.balances, lambda _: "all")["all"]
    headers = ("Received", "Published", "Duplicates", "Conflicts", "Left over")
    section.tables += [
        Table(
            "Lines by chunk",
            ("Chunk", *headers),
            [(chunk, *_line_cells(by_chunk[chunk])) for chunk in sorted(by_chunk, key=_chunk_order)],
            total=("All", *_line_cells(whole)),
        ),
        Table(
            "Gross by currency",
            ("Currency", *headers),
            [
                (
                    currency,
                    *(
                        format_amount(getattr(by_currency[currency], name).gross, currency)
                        for name in RECONCILED_SHARES
                    ),
                    format_amount(by_currency[currency].left_over, currency),
                )
                for currency in sorted(by_currency)
            ],
        ),
    ]
    return section


def _line_cells(balance: Balance) -> list[str]:
    lines = [getattr(balance, name).lines for name in RECONCILED_SHARES]
    return [*map(count, lines), count(lines[0] - sum(lines[1:]))]


def _stages(facts: RunFacts, draw: Draw) -> Section | None:
    if not facts.stages:
        return None
    from pipeline.report.pages import charts

    section = Section("stages", "Time of each step, and the deadlines")
    described = "; ".join(f"{s.stage} {seconds_text(s.seconds)} s" for s in facts.stages)
    section.pictures += draw(
        lambda: Picture(
            charts.draw_stages(facts.stages, f"{described}."),
            "Time of each step. The upright line is the median of earlier runs.",
        )
    )
    section.tables.append(
        Table(
            "Time of each step against the median of up to 20 earlier runs, and the margin to the deadline",
            (
                "Step",
                "Dates",
                "Lines",
                "Seconds",
                "Lines a second",
                "Median s",
                "Earlier runs",
                "Deadline",
                "Margin",
            ),
            [
                (
                    stage.stage,
                    count(stage.dates),
                    count(stage.lines),
                    seconds_text(stage.seconds),
                    count(round(stage.lines / stage.seconds)) if stage.seconds else "",
                    "" if stage.median_seconds is None else seconds_text(stage.median_seconds),
                    count(stage.earlier_runs),
                    moment(stage.deadline) or "none",
                    format_margin(stage.margin_seconds),
                )
                for stage in facts.stages
            ],
            text_columns=(0, 7, 8),
        )
    )
    return section


def _drops_and_dates(facts: RunFacts) -> Section | None:
    if not facts.drops and not facts.dates:
        return None
    section = Section("dates", "Drops and dates")
    if facts.drops:
        section.tables.append(
            Table(
                "What became of each drop",
                ("Drop", "State", "Lines", "Accepted", "Rejected", "Reason"),
                [
                    (
                        str(d.date),
                        d.status,
                        count(d.lines),
                        count(d.accepted),
                        count(d.rejected),
                        d.reason or "",
                    )
                    for d in facts.drops[:_MOST_DATES]
                ],
                text_columns=(0, 1, 5),
            )
        )
    if facts.dates:
        published = totals_by(facts.balances, lambda key: key.business_date)
        first = sorted(facts.dates, key=lambda date: (date.status == DateStatus.DONE, date.date))
        section.tables.append(
            Table(
                "What became of each business date",
                ("Business date", "State", "Revision", "Published lines", "Reason"),
                [
                    (
                        str(d.date),
                        d.status,
                        count(d.revision) if d.revision else "",
                        count(published[d.date].published.lines) if d.date in published else "",
                        d.reason or "",
                    )
                    for d in first[:_MOST_DATES]
                ],
                text_columns=(0, 1, 4),
            )
        )
    most = max(len(facts.drops), len(facts.dates))
    if most > _MOST_DATES:
        section.words.append(
            f"The first {_MOST_DATES} of {count(most)} are listed; ledger/drops and ledger/dates hold all."
        )
    return section


def _built(facts: RunFacts) -> Section | None:
    if not facts.built:
        return None
    section = Section("built", "Gold tables and documents")
    section.tables.append(
        Table(
            "Tables that were built, and their dates",
            ("Table", "Dates", "First", "Last"),
            [
                (table, count(len(dates)), str(min(dates)), str(max(dates)))
                for table, dates in facts.built.items()
            ],
            text_columns=(0, 2, 3),
        )
    )
    if facts.documents:
        section.tables.append(
            Table(
                "Documents that were issued",
                ("Kind", "Currency", "Documents", "Net amount"),
                [
                    (
                        row.kind.replace("_", " "),
                        row.currency,
                        count(row.documents),
                        format_amount(row.net, row.currency),
                    )
                    for row in facts.documents
                ],
                text_columns=(0, 1),
            )
        )
    return section


def _settings(facts: RunFacts) -> Section | None:
    if facts.settings is None:
        return None
    section = Section("settings", "Settings that differ from the defaults")
    if not facts.settings:
        section.words.append("None: the run used the defaults.")
        return section
    section.tables.append(
        Table(
            "Settings that differ from configs/cymbal.yaml",
            ("Key", "Value", "Default"),
            list(facts.settings),
            text_columns=(0, 1, 2),
        )
    )
    return section


def _in_order(attempts: Sequence[ChunkAttempt]) -> list[str]:
    return sorted({a.chunk for a in attempts}, key=_chunk_order)


def _chunk_order(chunk: str) -> tuple[bool, str]:
    """Ranges by name, then the chunk of all other keys."""
    return chunk == OTHER_CHUNK, chunk
