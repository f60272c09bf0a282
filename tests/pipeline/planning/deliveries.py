"""Hand-made deliveries and published dates, as plain values: days of November 2026, by number."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal

from pipeline.planning.staleness import AcceptedDelivery, DateState, DropState, date_inputs
from schemas.drops import DateContent
from schemas.states import DateStatus, DropStatus


def day(number: int) -> dt.date:
    return dt.date(2026, 11, number)


def days(numbers: Iterable[int]) -> set[dt.date]:
    return {day(number) for number in numbers}


def numbers(dates: Iterable[dt.date]) -> set[int]:
    return {date.day for date in dates}


def on_time(
    sold: int, lines: int = 10, digest: str = "d", gross: Mapping[str, Decimal] | None = None
) -> DateContent:
    """Lines that are published under their sale date."""
    return DateContent(day(sold), day(sold), False, lines, digest, gross or {})


def adjustment(drop: int, sold: int, lines: int = 1, digest: str = "d") -> DateContent:
    """Lines that came too late to restate their sale date."""
    return DateContent(day(drop), day(sold), True, lines, digest)


def drop(number: int, *content: DateContent, fingerprint: str = "f1") -> DropState:
    """A drop whose last delivery is in bronze."""
    return DropState(
        day(number),
        DropStatus.INGESTED,
        fingerprint,
        AcceptedDelivery(fingerprint, content, bronze_version=1),
    )


def refused(held: DropState, *content: DateContent) -> DropState:
    """A drop whose last delivery an audit refused; bronze holds the one before."""
    return DropState(held.date, DropStatus.BLOCKED, "f9", held.accepted, refused=content, reason="too bad")


def unread(number: int, held: DropState | None = None) -> DropState:
    """A drop whose last delivery could not be read."""
    return DropState(
        day(number), DropStatus.FAILED, "f9", held.accepted if held else None, reason="no header"
    )


def publish(*drops: DropState, only: Iterable[int] | None = None) -> dict[dt.date, DateState]:
    """The dates of these drops, published from them; with ``only``, those of them."""
    return {
        date: DateState(
            date,
            DateStatus.DONE,
            1,
            inputs.inputs_hash,
            inputs.drop_dates,
            inputs.sale_dates,
            silver_version=1,
        )
        for date, inputs in date_inputs(drops).items()
        if only is None or date.day in set(only)
    }
