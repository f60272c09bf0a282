"""The charts of the overview of all runs: values over the days of a year."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from pipeline.report.pages.charts import chart_over
from pipeline.report.pages.svg import BAD, CHUNK_COLOURS, INK, draw, printable

_WIDE, _HIGH = 760, 150
_DAY = "utcyearmonthdate(day):T"


def draw_sales(
    currency: str, rows: Sequence[tuple[dt.date, str, float]], categories: Sequence[str]
) -> Markup:
    """Draws net sales by day, one colour a category.

    Args:
        currency: their currency.
        rows: day, category and net amount.
        categories: categories in the order of their colours, at most as many as there are colours.
    """
    import altair as alt

    names = [printable(category) for category in categories]
    values = [{"day": day.isoformat(), "category": printable(name), "net": net} for day, name, net in rows]
    chart = (
        chart_over(values)
        .mark_area(interpolate="step-after")
        .encode(
            x=_days(),
            y=alt.Y("net:Q", title=currency, stack="zero", axis=alt.Axis(tickCount=4, format="~s")),
            color=alt.Color(
                "category:N",
                sort=names,
                scale=alt.Scale(domain=names, range=list(CHUNK_COLOURS[: len(names)])),
                legend=alt.Legend(columns=4, symbolType="square"),
            ),
            order=alt.Order("category:N"),
        )
        .properties(width=_WIDE, height=_HIGH)
    )
    title = f"Net sales by day and category, {currency}"
    return draw(chart, f"sales-{currency.lower()}", title, "The table below sums them by month.")


def draw_days(
    name: str, title: str, unit: str, values: Mapping[dt.date, float], *, bad: bool = False
) -> Markup:
    """Draws one bar a day.

    Args:
        name: id of the picture.
        title: what it shows.
        unit: title of the upright axis.
        values: value by day.
        bad: whether the bars count something bad.
    """
    import altair as alt

    rows = [{"day": day.isoformat(), "value": value} for day, value in values.items()]
    width = max(1.0, min(12.0, 0.8 * _WIDE / max(len(rows), 1)))
    chart = (
        chart_over(rows)
        .mark_bar(color=BAD if bad else CHUNK_COLOURS[0], width=width)
        .encode(x=_days(), y=alt.Y("value:Q", title=unit, axis=alt.Axis(tickCount=3, format="~s")))
        .properties(width=_WIDE, height=90)
    )
    return draw(chart, name, title, "The table below holds the numbers.")


def draw_runs(runs: Sequence[tuple[dt.date, float, int]]) -> Markup:
    """Draws the minutes of each run, and below them its lines.

    Args:
        runs: day, minutes and lines of each run.
    """
    import altair as alt

    rows = [{"day": day.isoformat(), "minutes": minutes, "lines": lines} for day, minutes, lines in runs]
    base = chart_over(rows).encode(x=_days())
    time = base.mark_circle(size=40, color=CHUNK_COLOURS[0]).encode(
        y=alt.Y("minutes:Q", title="minutes", axis=alt.Axis(tickCount=4))
    )
    lines = base.mark_bar(width=2, color=CHUNK_COLOURS[2]).encode(
        y=alt.Y("lines:Q", title="lines", axis=alt.Axis(tickCount=3, format="~s"))
    )
    chart = alt.vconcat(time.properties(width=_WIDE, height=110), lines.properties(width=_WIDE, height=70))
    return draw(chart, "runs-time", "Minutes and lines of each run", "The table of runs holds the numbers.")


def draw_margins(margins: Sequence[tuple[dt.date, float]]) -> Markup:
    """Draws the smallest margin of each run to its deadlines, in minutes; below the line it was late."""
    import altair as alt

    rows = [{"day": day.isoformat(), "minutes": minutes} for day, minutes in margins]
    points = (
        chart_over(rows)
        .mark_circle(size=40)
        .encode(
            x=_days(),
            y=alt.Y("minutes:Q", title="minutes left", axis=alt.Axis(tickCount=4)),
            color=alt.condition("datum.minutes < 0", alt.value(BAD), alt.value(CHUNK_COLOURS[0])),
        )
    )
    zero = chart_over([{"minutes": 0}]).mark_rule(color=INK).encode(y="minutes:Q")
    chart = alt.layer(zero, points).properties(width=_WIDE, height=110)
    return draw(
        chart, "margins", "Margin of each run to its deadline", "The table of runs holds the numbers."
    )


def _days() -> Any:
    import altair as alt

    return alt.X(_DAY, title=None, axis=alt.Axis(tickCount=12, labelOverlap=True))
