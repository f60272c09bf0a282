"""The charts of a run's page, drawn with Altair: each returns SVG, with its numbers in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from pipeline.planning.attempts import ChunkAttempt
from pipeline.report.pages.facts import StageFacts
from pipeline.report.pages.lanes import Gantt, lay_out, waiting_over_time
from pipeline.report.pages.svg import (
    BAD,
    CHUNK_COLOURS,
    INK,
    MUTED,
    PAPER,
    WAIT,
    colour_by_chunk,
    draw,
    printable,
)

_WIDE, _NARROW, _ROW = 720, 260, 30
# A bar narrower than this has no room for its text.
_TEXT_WIDTH = 44
# Longer times are shown in minutes.
_SECONDS_AT_MOST = 300.0


def draw_gantt(attempts: Sequence[ChunkAttempt], chunks: list[str], description: str) -> Markup:
    """Draws the attempts on their workers over time, and how many waited for a core."""
    import altair as alt

    gantt = lay_out(attempts)
    waiting = waiting_over_time(attempts)
    unit, per_unit = _unit(waiting[-1][0] / 1000)
    end = max(waiting[-1][0] / per_unit, 0.001)
    scale, ticks = alt.Scale(domain=[0, end], nice=False), 8
    shared = alt.X("start:Q", title=unit, scale=scale, axis=alt.Axis(tickCount=ticks))
    above = alt.X(
        "start:Q", title=None, scale=scale, axis=alt.Axis(tickCount=ticks, labels=False, ticks=False)
    )
    layers = _gantt_layers(gantt, chunks, above, per_unit, end)
    steps = [{"start": at / per_unit, "waiting": number} for at, number in waiting]
    most = max(number for _, number in waiting)
    area = (
        chart_over(steps)
        .mark_area(interpolate="step-after", color=WAIT, line={"color": MUTED})
        .encode(
            x=shared,
            y=alt.Y(
                "waiting:Q",
                title="waiting",
                axis=alt.Axis(tickCount=2, format="d"),
                scale=alt.Scale(domain=[0, max(most, 1)]),
            ),
        )
        .properties(width=_WIDE, height=56)
    )
    chart = alt.vconcat(
        alt.layer(*layers).properties(width=_WIDE, height=max(_ROW * len(gantt.lanes), 40)), area
    )
    return draw(chart, "gantt", "Chunks on their workers over time", description)


def _gantt_layers(gantt: Gantt, chunks: list[str], x: Any, per_unit: float, end: float) -> list[Any]:
    import altair as alt

    labels = {lane: printable(lane) for lane in gantt.lanes}
    rows = [
        {
            "lane": labels[bar.lane],
            "chunk": printable(bar.chunk),
            "start": bar.start_ms / per_unit,
            "end": max(bar.end_ms, bar.start_ms + end * per_unit * 0.002) / per_unit,
            "kind": bar.kind,
            "text": _bar_text(
                bar.chunk, bar.kind, bar.attempts, (bar.end_ms - bar.start_ms) / per_unit / end * _WIDE
            ),
        }
        for bar in gantt.bars
    ]
    colours = {printable(chunk): colour for chunk, colour in colour_by_chunk(chunks).items()}
    base = chart_over(rows)
    y = alt.Y("lane:N", title=None, sort=list(labels.values()), scale=alt.Scale(domain=list(labels.values())))
    ran = (
        base.transform_filter("datum.kind != 'failed'")
        .mark_bar(cornerRadius=2, height=_ROW * 0.7)
        .encode(
            x=x,
            x2="end:Q",
            y=y,
            color=alt.Color(
                "chunk:N", sort=chunks, scale=alt.Scale(domain=list(colours), range=list(colours.values()))
            ),
        )
    )
    failed = (
        base.transform_filter("datum.kind == 'failed'")
        .mark_bar(
            cornerRadius=2, height=_ROW * 0.7, color=PAPER, stroke=BAD, strokeWidth=2, strokeDash=[4, 2]
        )
        .encode(x=x, x2="end:Q", y=y)
    )
    text = base.transform_filter("datum.text != ''").transform_calculate(
        middle="(datum.start + datum.end) / 2"
    )
    inside = (
        text.transform_filter("datum.kind != 'failed'")
        .mark_text(color=PAPER, fontSize=12)
        .encode(x="middle:Q", y=y, text="text:N")
    )
    broken = (
        text.transform_filter("datum.kind == 'failed'")
        .mark_text(color=BAD, fontSize=12)
        .encode(x="middle:Q", y=y, text="text:N")
    )
    return [ran, failed, inside, broken]


def _bar_text(chunk: str, kind: str, attempts: int, width: float) -> str:
    sign = {"failed": "✗ ", "retry": "↻ "}.get(kind, "")
    if width < _TEXT_WIDTH:
        return sign.strip()
    count = f", {attempts:,} tasks" if attempts > 1 else ""
    text = f"{sign}{printable(chunk)}{count}"
    return text if width >= 8 * len(text) else sign.strip()


def draw_bars(
    name: str,
    title: str,
    rows: Mapping[str, float],
    labels: Mapping[str, str],
    *,
    by_chunk: bool = False,
    bad: bool = False,
) -> Markup:
    """Draws horizontal bars, each with its number at its end.

    Args:
        name: id of the picture.
        title: what it shows.
        rows: value by label, in order.
        labels: number to print, by label.
        by_chunk: whether a label is a chunk and has its colour.
        bad: whether the bars count something bad.
    """
    import altair as alt

    colours = (
        colour_by_chunk(list(rows)) if by_chunk else dict.fromkeys(rows, BAD if bad else CHUNK_COLOURS[0])
    )
    values = [
        {"label": printable(label), "value": float(value), "text": labels[label], "colour": colours[label]}
        for label, value in rows.items()
    ]
    order = [printable(label) for label in rows]
    base = chart_over(values).encode(
        y=alt.Y("label:N", title=None, sort=order, axis=alt.Axis(ticks=False, domain=False)),
        x=alt.X("value:Q", title=None, axis=None, scale=alt.Scale(domain=_domain(rows))),
    )
    bars = base.mark_bar(cornerRadius=2, height=_ROW * 0.6).encode(color=alt.Color("colour:N", scale=None))
    positive = base.transform_filter("datum.value >= 0").mark_text(align="left", dx=5).encode(text="text:N")
    negative = base.transform_filter("datum.value < 0").mark_text(align="right", dx=-5).encode(text="text:N")
    chart = alt.layer(bars, positive, negative).properties(width=_NARROW, height=_ROW * len(values))
    described = "; ".join(f"{label} {labels[label]}" for label in rows)
    return draw(chart, name, title, f"{described}.")


def _domain(rows: Mapping[str, float]) -> list[float]:
    """Room for the numbers beside the longest bars."""
    low, high = min(0.0, *map(float, rows.values())), max(0.0, *map(float, rows.values()))
    span = high - low or 1.0
    return [low - (0.35 * span if low < 0 else 0), high + 0.35 * span]


def draw_task_sizes(sizes: Mapping[str, Sequence[int]], description: str) -> Markup:
    """Draws the lines of tasks as dots, by chunk.

    Args:
        sizes: lines of each task to draw, by chunk, in order of the chunks.
        description: what can be read from it.
    """
    import altair as alt

    rows = [{"chunk": chunk, "lines": lines} for chunk, own in sizes.items() for lines in own]
    colours = {printable(chunk): colour for chunk, colour in colour_by_chunk(list(sizes)).items()}
    chart = (
        chart_over(rows)
        .mark_circle(size=90, opacity=0.75)
        .encode(
            x=alt.X(
                "lines:Q",
                title="lines of a task",
                axis=alt.Axis(tickCount=4, format="~s"),
                scale=alt.Scale(zero=True),
            ),
            y=alt.Y("chunk:N", title=None, sort=list(colours), axis=alt.Axis(ticks=False)),
            color=alt.Color(
                "chunk:N", legend=None, scale=alt.Scale(domain=list(colours), range=list(colours.values()))
            ),
        )
        .properties(width=_NARROW + 60, height=_ROW * len(colours))
    )
    return draw(chart, "sizes", "Lines of each task, by chunk", description)


def draw_stages(stages: Sequence[StageFacts], description: str) -> Markup:
    """Draws each stage's time as a bar, and the median of earlier runs as a line across it."""
    import altair as alt

    unit, per_unit = _unit(max(max(s.seconds, s.median_seconds or 0.0) for s in stages))
    divisor = per_unit / 1000
    rows = [
        {
            "stage": stage.stage,
            "value": stage.seconds / divisor,
            "median": None if stage.median_seconds is None else stage.median_seconds / divisor,
            "text": f"{stage.seconds / divisor:,.1f}",
        }
        for stage in stages
    ]
    order = [printable(stage.stage) for stage in stages]
    base = chart_over(rows).encode(y=alt.Y("stage:N", title=None, sort=order, axis=alt.Axis(ticks=False)))
    bars = base.mark_bar(cornerRadius=2, height=_ROW * 0.6, color=CHUNK_COLOURS[0]).encode(
        x=alt.X("value:Q", title=unit, axis=alt.Axis(tickCount=4))
    )
    text = base.mark_text(align="left", dx=6).encode(x="value:Q", text="text:N")
    medians = (
        base.transform_filter("isValid(datum.median)")
        .mark_tick(color=INK, thickness=3, size=_ROW * 0.9)
        .encode(x="median:Q")
    )
    chart = alt.layer(bars, medians, text).properties(width=_NARROW + 40, height=_ROW * len(rows))
    return draw(chart, "stages", "Time of each step, with the median of earlier runs", description)


def chart_over(rows: Sequence[Mapping[str, Any]]) -> Any:
    """A chart over rows that are part of its specification; their text is made printable."""
    import altair as alt

    data: Any = alt.Data  # it carries no types
    clean = [
        {name: printable(value) if isinstance(value, str) else value for name, value in row.items()}
        for row in rows
    ]
    return alt.Chart(data(values=clean))


def _unit(seconds: float) -> tuple[str, float]:
    """Name of the unit for a duration, and its milliseconds."""
    return ("seconds", 1000.0) if seconds <= _SECONDS_AT_MOST else ("minutes", 60_000.0)
