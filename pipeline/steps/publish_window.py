"""A window of business dates: its lines, its conflicts and its plan."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.lake.frames import local_frame
from pipeline.lake.tables import filter_dates
from pipeline.planning.pinned import Chunking
from pipeline.planning.reconciliation import (
    EXACT,
    ZERO,
    ControlTotals,
    ReconciliationKey,
    conflict_ratios,
    reconcile,
)
from pipeline.planning.staleness import DateInputs
from pipeline.planning.windows import partition_spans
from pipeline.steps.context import Batch
from pipeline.steps.received import read_accepted
from pipeline.steps.recording import chunked, count_cells, count_left_out
from schemas.errors import AuditError
from schemas.tables import SALES
from transforms.control_totals import count_conflicts, count_received
from transforms.copies import Copies, filter_hashes, find_conflicts, find_suspect_hashes, resolve_copies
from transforms.publication import ChunkPlan, line_columns, published_sales


@dataclass
class PublishWindow:
    """The lines of a window of dates, their conflicts and their plan. Each is computed at its first use.

    Attributes:
        batch: the run.
        groups: business dates of the window; the dates of a group change together.
        bronze_version: version of bronze to read; None if there is none.
    """

    batch: Batch
    groups: list[list[DateInputs]]
    bronze_version: int | None
    _kept: list[DataFrame] = field(default_factory=list, init=False)

    @cached_property
    def dates(self) -> list[DateInputs]:
        """Its dates, in order."""
        return sorted((date for group in self.groups for date in group), key=lambda inputs: inputs.date)

    @property
    def span(self) -> str:
        """Its dates as text for messages."""
        first, last = self.dates[0].date, self.dates[-1].date
        return str(first) if first == last else f"{first} to {last}"

    @cached_property
    def received_lines(self) -> DataFrame:
        """Accepted lines, including all copies."""
        drop_dates = {drop for date in self.dates for drop in date.drop_dates}
        dates = [date.date for date in self.dates]
        accepted = read_accepted(self.batch, self.bronze_version, drop_dates)
        return filter_dates(accepted, "business_date", dates).select(*line_columns())

    @cached_property
    def lines(self) -> DataFrame:
        """The accepted lines with their chunk."""
        return chunked(self.received_lines, self.chunkings)

    @cached_property
    def chunkings(self) -> Mapping[dt.date, Chunking]:
        """How each date is split into chunks."""
        return {date.date: date.chunking for date in self.dates if date.chunking is not None}

    @cached_property
    def hashes(self) -> DataFrame:
        """Key hashes of the lines that may have copies."""
        resent = {sale for date in self.dates for sale in date.resent_sale_dates if sale == date.date}
        return self._keep(find_suspect_hashes(self.received_lines, resent))

    @cached_property
    def suspects(self) -> DataFrame | None:
        """The lines that may have copies; None if there are none, so that nothing needs to be looked up."""
        # After this count Spark knows the size of the cached hashes, and broadcasts them if they are few.
        if not self.hashes.count():
            return None
        return self._keep(filter_hashes(self.lines, self.hashes))

    @cached_property
    def earlier(self) -> DataFrame | None:
        """Lines of other dates that may win over lines of the window; None if there are none."""
        sale_dates = {sale_date for date in self.dates for sale_date in date.resent_sale_dates}
        drop_dates = {drop_date for date in self.dates for drop_date in date.resent_drop_dates}
        if not sale_dates or self.suspects is None:
            return None
        accepted = read_accepted(self.batch, self.bronze_version, drop_dates)
        others = filter_dates(accepted, "sale_date", sale_dates)
        own = [date.date for date in self.dates]
        # Filter by hash first: it reduces years of lines to a few before a sort. The hashes of all suspects
        # are counted and narrow, so Spark usually broadcasts them.
        earlier_lines = filter_hashes(others.filter(~F.col("business_date").isin(own)), self.hashes)
        return earlier_lines.select(*line_columns()).withColumn("chunk", F.lit(None).cast("string"))

    @cached_property
    def copies(self) -> Copies | None:
        """The suspect lines with the outcome of each; None if there are none."""
        if self.suspects is None:
            return None
        lines = self.suspects if self.earlier is None else self.suspects.unionByName(self.earlier)
        resolved = filter_dates(resolve_copies(lines), "business_date", [date.date for date in self.dates])
        return Copies(self.hashes, self._keep(resolved))

    @cached_property
    def conflicts(self) -> DataFrame | None:
        """Lines for ``silver/conflicts``; None if no line has copies."""
        return None if self.copies is None else find_conflicts(self.copies.resolved)

    @cached_property
    def received(self) -> dict[ReconciliationKey, ControlTotals]:
        """Control totals of the accepted lines."""
        return count_cells(count_received(self.lines))

    @cached_property
    def left_out(self) -> dict[tuple[ReconciliationKey, str], ControlTotals]:
        """Control totals of the lines for ``silver/conflicts``, by outcome."""
        return {} if self.conflicts is None else count_left_out(count_conflicts(self.conflicts))

    @cached_property
    def chunk_lines(self) -> dict[str, int]:
        """Accepted lines by chunk."""
        lines: dict[str, int] = defaultdict(int)
        for key, totals in self.received.items():
            lines[key.chunk] += totals.lines
        return lines

    @cached_property
    def plan(self) -> ChunkPlan:
        """Chunks and their Spark partitions."""
        target = self.batch.settings.chunks.target_rows_per_partition
        return ChunkPlan(partition_spans(self.chunk_lines, target))

    def prepare(self) -> None:
        """Computes all that a write depends on, so that the write itself is one scan and one shuffle."""
        _ = self.plan, self.left_out

    def check_received(self) -> None:
        """Proves that bronze holds what the ingests counted.

        Raises:
            AuditError: it does not; for example, the table was restored from a backup.
        """
        lines: Counter[dt.date] = Counter()
        gross: dict[dt.date, dict[str, Decimal]] = defaultdict(dict)
        for key, totals in self.received.items():
            lines[key.business_date] += totals.lines
            amounts = gross[key.business_date]
            amounts[key.currency] = EXACT.add(amounts.get(key.currency, ZERO), totals.gross)
        for date in self.dates:
            if lines[date.date] == date.lines and gross[date.date] == dict(date.gross):
                continue
            raise AuditError(
                f"date {date.date}: bronze/received_sales holds {lines[date.date]} lines "
                f"({_amounts(gross[date.date])}), the ingests counted {date.lines} ({_amounts(date.gross)}): "
                "run repair_lake"
            )

    def over_conflict_share(self) -> dict[dt.date, float]:
        """Dates whose share of conflicts exceeds ``audit.max_conflict_share``, with the share from 0 to 1."""
        shares = conflict_ratios(reconcile(self.received, {}, {}, self.left_out))
        allowed = self.batch.settings.audit.max_conflict_share
        return {date: share for date, share in shares.items() if share > allowed}

    def sales(self, plan: ChunkPlan) -> DataFrame:
        """The lines to publish, placed in the partitions of a plan."""
        if not plan.spans:
            return local_frame(self.batch.spark, SALES.schema)
        return published_sales(self.lines, plan, self.copies)

    def release(self) -> None:
        """Frees the frames that it cached."""
        for frame in self._kept:
            frame.unpersist()

    def _keep(self, frame: DataFrame) -> DataFrame:
        kept = frame.persist()
        self._kept.append(kept)
        return kept


def _amounts(gross: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{amount} {currency}" for currency, amount in sorted(gross.items())) or "no amount"
