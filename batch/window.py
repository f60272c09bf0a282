"""A window of business dates: their lines, and what planning a publication finds in them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
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
    Copies,
    filter_hashes,
    find_conflicts,
    find_late_resends,
    find_suspect_hashes,
    with_kept_copy,
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
    _kept: list[DataFrame] = field(default_factory=list, init=False)

    @property
    def span(self) -> str:
        """Its dates, for a person."""
        first, last = self.dates[0].date, self.dates[-1].date
        return str(first) if first == last else f"{first} to {last}"

    @cached_property
    def received_lines(self) -> DataFrame:
        """Accepted lines, late resends among them."""
        drop_dates = {drop for date in self.dates for drop in date.drop_dates}
        dates = [date.date for date in self.dates]
        lines = read_accepted_of(self.batch, self.bronze_version, drop_dates, dates)
        return lines.select(*LINE_COLUMNS)

    @cached_property
    def lines(self) -> DataFrame:
        """The same with their chunk."""
        return self._chunked(self.received_lines)

    @cached_property
    def hashes(self) -> DataFrame:
        """Key hashes of the lines that may have copies."""
        return self._keep(find_suspect_hashes(self.received_lines))

    @cached_property
    def suspects(self) -> DataFrame | None:
        """These lines; None where there are none: then no line need be looked up."""
        # Once counted, Spark knows how many there are, and sends them to all tasks if they are few.
        if not self.hashes.count():
            return None
        return self._keep(self._chunked(filter_hashes(self.received_lines, self.hashes)))

    @cached_property
    def late_resends(self) -> DataFrame | None:
        """Adjustments that an earlier drop holds already; None where no date has adjustments."""
        sale_dates = {sale_date for date in self.dates for sale_date in date.adjusted_sale_dates}
        if not sale_dates or self.suspects is None:
            return None
        adjustments = self.suspects.filter("is_adjustment")
        earlier = filter_dates(read_accepted(self.batch, self.bronze_version), "sale_date", sale_dates)
        # By hash first: it brings years of lines down to a few before anything of them is sorted. By those of
        # all suspects, which are counted and narrow, and so mostly sent to all tasks.
        return self._keep(find_late_resends(adjustments, filter_hashes(earlier, self.hashes)))

    @cached_property
    def copies(self) -> Copies | None:
        """The suspect lines, and what becomes of each; None where there are none."""
        if self.suspects is None:
            return None
        late = self.late_resends
        candidates = self.suspects if late is None else without_late_resends(self.suspects, late)
        return Copies(self.hashes, self._keep(with_kept_copy(candidates)))

    @cached_property
    def conflicts(self) -> DataFrame | None:
        """Lines for ``silver/conflicts``; None where there are none."""
        if self.copies is None:
            return None
        conflicts, late = find_conflicts(self.copies.decided), self.late_resends
        return conflicts if late is None else conflicts.unionByName(late)

    @cached_property
    def received(self) -> dict[Cell, Measure]:
        """Lines and control totals received."""
        return count_cells(count_received(self.lines))

    @cached_property
    def left_out(self) -> dict[tuple[Cell, str], Measure]:
        """Lines and control totals that go to ``silver/conflicts``, by outcome."""
        return {} if self.conflicts is None else count_left_out(count_conflicts(self.conflicts))

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

    def prepare(self) -> None:
        """Finds out all that a write goes by, so that the write itself is one scan and one shuffle."""
        _ = self.plan, self.left_out

    def over_conflict_share(self) -> dict[dt.date, float]:
        """Dates whose share of conflicts is more than the config allows."""
        shares = conflict_shares(reconcile(self.received, {}, {}, self.left_out))
        allowed = self.batch.settings.audit.max_conflict_share
        return {date: share for date, share in shares.items() if share > allowed}

    def sales(self, plan: ChunkPlan) -> DataFrame:
        """The lines to publish, in the partitions of a plan."""
        if not plan.spans:
            return local_frame(self.batch.spark, SALES.schema)
        return published_sales(self.lines, plan, self.copies)

    def release(self) -> None:
        """Frees what was kept in memory."""
        for frame in self._kept:
            frame.unpersist()

    def _chunked(self, lines: DataFrame) -> DataFrame:
        chunks = self.batch.settings.chunks
        return with_chunk(lines, chunks.key, chunks.key_ranges)

    def _keep(self, frame: DataFrame) -> DataFrame:
        kept = frame.persist()
        self._kept.append(kept)
        return kept
