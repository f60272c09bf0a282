"""The metadata of a commit to ``silver/sales``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.planning.pinned import Chunking
from pipeline.planning.staleness import DateInputs

JOB = "publish_sales"
ROLL_BACK = "roll_back"
RECOUNT = "recount"


@dataclass(frozen=True)
class PublishCommit:
    """The metadata of a commit to ``silver/sales``. It suffices to write the ledger rows of the commit.

    Attributes:
        run_id: run.
        sequence: number of the publication.
        bronze_version: version of bronze that it was made from; None if there was none.
        dates: inputs by business date.
        revisions: revision by business date.
        restored: the earlier revision that was restored, by business date; only for restored dates.
        contents: digest of the published lines, by business date; only for restored dates.
        groups: group number by business date. Dates of one group change together or not at all.
    """

    run_id: str
    sequence: int
    bronze_version: int | None
    dates: Mapping[dt.date, DateInputs]
    revisions: Mapping[dt.date, int]
    restored: Mapping[dt.date, int] = field(default_factory=dict)
    contents: Mapping[dt.date, str] = field(default_factory=dict)
    groups: Mapping[dt.date, int] = field(default_factory=dict)

    def only(self, dates: Container[dt.date]) -> PublishCommit:
        """The same publication, limited to some of its dates."""
        return replace(self, dates={date: inputs for date, inputs in self.dates.items() if date in dates})

    def with_dependents(self, lost: Mapping[dt.date, str]) -> dict[dt.date, str]:
        """The given dates and those that must be rolled back with them, with the reasons."""
        reasons, waiting = dict(lost), sorted(lost)
        while waiting:
            cause = waiting.pop()
            for date, inputs in self.dates.items():
                is_mate = date in self.groups and self.groups[date] == self.groups.get(cause)
                if date not in reasons and (is_mate or inputs.sale_dates & self.dates[cause].sale_dates):
                    reasons[date] = f"it depends on {cause}: {lost.get(cause, reasons[cause])}"
                    waiting.append(date)
        return reasons

    @property
    def chunkings(self) -> dict[dt.date, Chunking]:
        """How each date that has lines is split into chunks."""
        return {date: inputs.chunking for date, inputs in self.dates.items() if inputs.chunking is not None}

    def to_commit_metadata(self) -> dict[str, Any]:
        """The commit's userMetadata."""
        chunkings = sorted({(c.key, c.ranges) for c in self.chunkings.values()})
        metadata: dict[str, Any] = {
            "job": JOB,
            "run_id": self.run_id,
            "sequence": self.sequence,
            "bronze_version": self.bronze_version,
            "chunkings": [{"key": key, "ranges": list(ranges)} for key, ranges in chunkings],
            "dates": {date.isoformat(): self._date_metadata(date, chunkings) for date in self.dates},
        }
        if self.restored:
            metadata["restored"] = {date.isoformat(): number for date, number in self.restored.items()}
            metadata["contents"] = {date.isoformat(): digest for date, digest in self.contents.items()}
        return metadata

    def _date_metadata(self, date: dt.date, chunkings: list[tuple[str, tuple[str, ...]]]) -> dict[str, Any]:
        inputs = self.dates[date]
        split = inputs.chunking
        return {
            "revision": self.revisions[date],
            "inputs_hash": inputs.inputs_hash,
            "drop_dates": [drop.isoformat() for drop in sorted(inputs.drop_dates)],
            "sale_dates": [sale.isoformat() for sale in sorted(inputs.sale_dates)],
            "chunking": None if split is None else chunkings.index((split.key, split.ranges)),
            "group": self.groups.get(date),
        }

    @classmethod
    def from_commit_metadata(cls, metadata: Mapping[str, Any]) -> PublishCommit:
        """Reads the userMetadata of a commit, as this version or 0.1.0 wrote it."""
        chunkings = _chunkings(metadata)
        dates = {dt.date.fromisoformat(text): entry for text, entry in metadata["dates"].items()}
        return cls(
            run_id=metadata["run_id"],
            sequence=metadata["sequence"],
            bronze_version=metadata["bronze_version"],
            dates={date: _inputs(date, entry, chunkings) for date, entry in dates.items()},
            revisions={date: entry["revision"] for date, entry in dates.items()},
            restored=_by_date(metadata.get("restored", {})),
            contents=_by_date(metadata.get("contents", {})),
            groups={date: entry["group"] for date, entry in dates.items() if entry.get("group") is not None},
        )


def _chunkings(metadata: Mapping[str, Any]) -> list[Chunking]:
    if "chunkings" in metadata:
        return [Chunking(entry["key"], tuple(entry["ranges"])) for entry in metadata["chunkings"]]
    return [Chunking(metadata["chunk_key"], tuple(metadata["chunk_ranges"]))]


def _inputs(date: dt.date, entry: Mapping[str, Any], chunkings: list[Chunking]) -> DateInputs:
    position = entry.get("chunking", 0)
    return DateInputs(
        date,
        lines=0,
        drop_dates=_dates(entry["drop_dates"]),
        sale_dates=_dates(entry.get("sale_dates", ())),
        inputs_hash=entry["inputs_hash"],
        chunking=None if position is None else chunkings[position],
    )


def _dates(texts: Any) -> frozenset[dt.date]:
    return frozenset(dt.date.fromisoformat(text) for text in texts)


def _by_date(values: Mapping[str, Any]) -> dict[dt.date, Any]:
    return {dt.date.fromisoformat(text): value for text, value in values.items()}
