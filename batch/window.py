"""A window of business dates: their lines, and what planning a publication finds in them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

from pyspark.sql import DataFrame

from batch.context import Batch
from batch.received import read_accepted, read_accepted_of
from batch.recording import count_cells, count_left_out
from lake.frames import local_frame
from lake.tables import filter_dates
from planning.reconciliation import Cell, Measure, conflict_shares, reconcile
from planning.staleness import DateInputs
from planning.windows import partition_spans
from schemas.tables import SALES
from transforms.control_totals import count_conflicts, count_received
from transforms.copies import (
    find_conflicts,
    find_copies,
    find_crossing_keys,
    find_differing_keys,
    find_late_resends,
    without_late_resends,
)
from transforms.publication import LINE_COLUMNS, ChunkPlan, published_sales, with_chunk


@dataclass
class Window:
    """The lines of a window of dates, and what planning found in them.

    Attributes:
        batch: the run.
        dates: business dates of the window, in order.
        bronze_version: version of bronze that it reads; None where there is none.
    """

    batch: Batch
    dates: list[DateInputs]
    bronze_version: int | None

    @property
    def span(self) -> str:
        """Its dates, for a person."""
        first, last = self.dates[0].date, self.dates[-1].date
        return str(first) if first == last else f"{first} to {last}"

    @cached_property
    def lines(self) -> DataFrame:
        """Accepted lines with their chunk, late resends among them."""
        chunks = self.batch.settings.chunks
        drop_dates = {drop for date in self.dates for drop in date.drop_dates}
        dates = [date.date for date in self.dates]
        lines = read_accepted_of(self.batch, self.bronze_version, drop_dates, dates)
        return with_chunk(lines.select(*LINE_COLUMNS), chunks.key, chunks.key_ranges)

    @cached_property
    def late_resends(self) -> DataFrame | None:
        """Adjustments that an earlier drop holds already; None where no date has adjustments."""
        sale_dates = {sale_date for date in self.dates for sale_date in date.adjusted_sale_dates}
        if not sale_dates:
            return None
        earlier = filter_dates(read_accepted(self.batch, self.bronze_version), "sale_date", sale_dates)
        adjustments = self.lines.filter("is_adjustment")
        return find_late_resends(adjustments, earlier).persist()

    @cached_property
    def candidates(self) -> DataFrame:
        """Lines that are published or are copies of one that is."""
        late = self.late_resends
        return self.lines if late is None else without_late_resends(self.lines, late)

    @cached_property
    def differing_keys(self) -> DataFrame:
        """Keys whose copies differ."""
        return find_differing_keys(self.candidates).persist()

    @cached_property
    def has_differing_keys(self) -> bool:
        """Whether any key has copies that differ."""
        return not self.differing_keys.isEmpty()

    @cached_property
    def differing_copies(self) -> DataFrame:
        """All copies of these keys: few lines, found in one scan, from which all else about them follows."""
        return find_copies(self.candidates, self.differing_keys).persist()

    @cached_property
    def conflicts(self) -> DataFrame:
        """Lines for ``silver/conflicts``."""
        conflicts = find_conflicts(self.differing_copies, self.differing_keys)
        late = self.late_resends
        return (conflicts if late is None else conflicts.unionByName(late.drop("key_hash"))).persist()

    @cached_property
    def received(self) -> dict[Cell, Measure]:
        """Lines and control totals received."""
        return count_cells(count_received(self.lines))

    @cached_property
    def has_copies_that_differ(self) -> bool:
        """Whether anything at all is to be left out other than equal copies."""
        if self.has_differing_keys:
            return True
        return self.late_resends is not None and not self.late_resends.isEmpty()

    @cached_property
    def left_out(self) -> dict[tuple[Cell, str], Measure]:
        """Lines and control totals that go to ``silver/conflicts``, by outcome."""
        return count_left_out(count_conflicts(self.conflicts)) if self.has_copies_that_differ else {}

    @cached_property
    def plan(self) -> ChunkPlan:
        """Chunks and their Spark partitions."""
        chunks = self.batch.settings.chunks
        lines: dict[str, int] = {}
        for cell, measure in self.received.items():
            lines[cell.chunk] = lines.get(cell.chunk, 0) + measure.lines
        return ChunkPlan(
            chunks.key, chunks.key_ranges, partition_spans(lines, chunks.target_rows_per_partition)
        )

    @cached_property
    def crossing_keys(self) -> DataFrame | None:
        """Keys whose copies lie in several chunks; None where there are none: no line need look them up."""
        if not self.has_differing_keys:
            return None
        crossing = find_crossing_keys(self.differing_copies, self.differing_keys).persist()
        if not crossing.isEmpty():
            return crossing
        crossing.unpersist()
        return None

    def prepare(self) -> None:
        """Finds out all that a write goes by, so that the write itself is one scan and one shuffle."""
        _ = self.plan, self.crossing_keys

    def over_conflict_share(self) -> dict[dt.date, float]:
        """Dates whose share of conflicts is more than the config allows."""
        shares = conflict_shares(reconcile(self.received, {}, {}, self.left_out))
        allowed = self.batch.settings.audit.max_conflict_share
        return {date: share for date, share in shares.items() if share > allowed}

    def sales(self, plan: ChunkPlan) -> DataFrame:
        """The lines to publish, in the partitions of a plan."""
        if not plan.spans:
            return local_frame(self.batch.spark, SALES.schema)
        return published_sales(self.candidates, plan, self.crossing_keys)

    def release(self) -> None:
        """Frees what was kept in memory."""
        for frame in ("late_resends", "differing_keys", "differing_copies", "conflicts", "crossing_keys"):
            kept = self.__dict__.get(frame)
            if kept is not None:
                kept.unpersist()
