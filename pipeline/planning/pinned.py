"""Pinned settings decide the content of a lake. A run that changes one must say how to apply the change.

Settings are flat here: dotted name -> plain JSON value, such as ``late.days`` -> 7.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.errors import UsageError
from schemas.ranges import KeyRange, parse_ranges

Values = Mapping[str, Any]

CHUNK_SETTINGS = ("chunks.key", "chunks.ranges")
# These decide the sale date, which is part of a line's key. Copies dated under old and new values would not
# match.
KEY_SETTINGS = ("business_day.timezone", "business_day.starts_at", "business_day.store_timezones")

# What a lake did before a setting existed. A record without the setting stands for this value, so that a lake
# keeps its behaviour, and no run has to say anything.
_BEFORE: Values = {
    "contract.columns": {},
    "deliveries": [],
    "landing.ignore": [],
    "nulls": [""],
    "rules.own": {},
    "text.normalize": "none",
}
NEW_LAKE_NORMALIZES = "nfc"


class Change(StrEnum):
    """Why settings were recorded."""

    FIRST = "first"
    MIGRATED = "migrated"
    REINGEST = "reingest"
    REPUBLISH = "republish"
    REINGEST_REPUBLISH = "reingest, republish"
    FROM_NOW_ON = "from_now_on"

    @property
    def validates_again(self) -> bool:
        """Whether every earlier delivery must be validated and dated again."""
        return self in (Change.REINGEST, Change.REINGEST_REPUBLISH)

    @property
    def places_again(self) -> bool:
        """Whether every earlier line must be placed in the new chunks."""
        return self in (Change.FIRST, Change.MIGRATED, Change.REPUBLISH, Change.REINGEST_REPUBLISH)


@dataclass(frozen=True)
class Chunking:
    """How the lines of a date are split into chunks.

    Attributes:
        key: received column whose value decides the chunk.
        ranges: key ranges as written in the config.
    """

    key: str
    ranges: tuple[str, ...]

    @property
    def key_ranges(self) -> tuple[KeyRange, ...]:
        """The parsed ranges."""
        return parse_ranges(self.ranges)


@dataclass(frozen=True)
class SettingsRecord:
    """One record of a lake's pinned settings.

    Attributes:
        sequence: number of the record, in order of time.
        change: why the record was written.
        values: the settings.
    """

    sequence: int
    change: Change
    values: Values

    @property
    def chunking(self) -> Chunking:
        """How lines are split into chunks."""
        return Chunking(self.values["chunks.key"], tuple(self.values["chunks.ranges"]))


@dataclass(frozen=True)
class PinnedSettings:
    """All records of a lake, oldest first; at least one."""

    records: Sequence[SettingsRecord]

    @property
    def current(self) -> SettingsRecord:
        """The settings in force."""
        return self.records[-1]

    @property
    def validated_since(self) -> int:
        """First record whose deliveries need no new validation; those of earlier records do."""
        return max((r.sequence for r in self.records if r.change.validates_again), default=0)

    def chunking_of(self, sequence: int) -> Chunking:
        """How lines of a delivery are split into chunks.

        Args:
            sequence: record under which the delivery was ingested.
        """
        deciding = self.records[0]
        for record in self.records:
            if record.sequence <= sequence or record.change.places_again:
                deciding = record
        return deciding.chunking


@dataclass(frozen=True)
class Wishes:
    """How a command asks to apply changed settings."""

    reingest: bool = False
    republish: bool = False
    from_now_on: bool = False


def decide_change(pinned: PinnedSettings | None, wanted: Values, wishes: Wishes) -> Change | None:
    """Decides which change a run records; None if its settings equal those of the lake.

    Args:
        pinned: settings of the lake; None if nothing was ever ingested.
        wanted: settings of the run.
        wishes: flags of the command.

    Raises:
        UsageError: the settings differ, and the flags are missing or do not fit the change.
    """
    if wishes.from_now_on and (wishes.reingest or wishes.republish):
        raise UsageError(
            "--from-now-on is for later deliveries, --reingest and --republish for all: give one"
        )
    if pinned is None:
        return Change.FIRST
    changed = differing(pinned.current.values, wanted)
    if not changed:
        return None
    described = describe_differences(pinned.current.values, wanted, changed)
    if wishes.from_now_on:
        _check_keys_stay(changed, described)
        return Change.FROM_NOW_ON
    return _change_of_all(changed, described, wishes)


def _check_keys_stay(changed: Iterable[str], described: str) -> None:
    keys = [name for name in changed if name in KEY_SETTINGS]
    if keys:
        raise UsageError(
            f"{described}: --from-now-on cannot be used for {', '.join(keys)}, which decide the keys of "
            "lines; run with --reingest, which validates and dates all drops again"
        )


def _change_of_all(changed: Iterable[str], described: str, wishes: Wishes) -> Change:
    of_chunks = [name for name in changed if name in CHUNK_SETTINGS]
    of_lines = [name for name in changed if name not in CHUNK_SETTINGS]
    missing = []
    if of_lines and not wishes.reingest:
        missing.append("--reingest (validate and date all drops again)")
    if of_chunks and not wishes.republish:
        missing.append("--republish (place all lines in the new chunks)")
    if missing:
        raise UsageError(
            f"{described}: give {' and '.join(missing)}, or --from-now-on (later deliveries only); or run "
            "with the settings of the lake"
        )
    if of_lines and of_chunks:
        return Change.REINGEST_REPUBLISH
    return Change.REINGEST if of_lines else Change.REPUBLISH


def differing(pinned: Values, wanted: Values) -> list[str]:
    """Names of the settings that differ, sorted."""
    names = {*pinned, *wanted}
    return sorted(name for name in names if value_of(pinned, name) != value_of(wanted, name))


def value_of(values: Values, name: str) -> Any:
    """The value of a setting in a record; of one that the record is older than, what was done before."""
    return values.get(name, _BEFORE.get(name))


def describe_differences(pinned: Values, wanted: Values, names: Iterable[str]) -> str:
    """One line that names each setting, its value in the lake and in the run."""
    parts = [
        f"{name} is {_shown(value_of(pinned, name))} in the lake, "
        f"{_shown(value_of(wanted, name))} in this run"
        for name in names
    ]
    return "settings that decide content differ: " + "; ".join(parts)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
