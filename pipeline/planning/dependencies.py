"""Which dates must be published together, which must wait, and in which order.

Two business dates are linked if both have lines of one sale date: both may hold copies of one key, and only
one copy is published. So a date waits for the drops and dates that may decide its content. Linked dates that
readers have already seen change in one commit.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush

from pipeline.planning.staleness import DateInputs, DateState, DropState, no_inputs

Spans = Mapping[tuple[dt.date, dt.date], tuple[dt.date, dt.date]]


@dataclass(frozen=True)
class PublishPlan:
    """The plan of a publish.

    Attributes:
        groups: dates of each commit, in order of the commits.
        held: dates that keep their revision for now, with the reason.
        added: dates that were not requested but must change with requested ones.
    """

    groups: list[list[DateInputs]] = field(default_factory=list)
    held: dict[dt.date, str] = field(default_factory=dict)
    added: frozenset[dt.date] = frozenset()


class Dependencies:
    """Which dates have lines of the same sale dates, now or as published."""

    def __init__(
        self,
        drops: Iterable[DropState],
        inputs: Mapping[dt.date, DateInputs],
        published: Mapping[dt.date, DateState],
    ) -> None:
        """Takes every drop, the inputs of every date and every date as it was published."""
        self._drops = list(drops)
        self._inputs = inputs
        self._published = {date: state for date, state in published.items() if state.revision > 0}
        self._spans = _spans(self._drops)
        self._members: dict[dt.date, set[dt.date]] = defaultdict(set)
        for date, wanted in inputs.items():
            for sale_date in wanted.sale_dates:
                self._members[sale_date].add(date)
        for date, state in self._published.items():
            for sale_date in state.sale_dates:
                self._members[sale_date].add(date)

    def plan(
        self,
        stale: Collection[dt.date],
        requested: Collection[dt.date],
        not_ready: Collection[dt.date],
        placed: Collection[dt.date] = (),
    ) -> PublishPlan:
        """Plans a publish.

        Args:
            stale: dates whose content changes.
            requested: dates to which the publish is limited, out of ``stale`` and ``placed``.
            not_ready: requested drops that have not arrived yet.
            placed: dates that are published again with the same content.
        """
        stale = set(stale)
        groups = self.groups(stale)
        chosen = self._closed({date for date in requested if date in stale}, groups)
        held = self.held_back(chosen | set(placed), not_ready)
        held |= self.dependents(set(held) & stale, chosen, groups, held)
        moved = [group for group in groups if group[0] in chosen and not set(group) & set(held)]
        moved += [[date] for date in sorted(placed) if date in requested and date not in stale | set(held)]
        return PublishPlan(
            groups=[[self._inputs.get(date) or no_inputs(date) for date in group] for group in moved],
            held={date: reason for date, reason in held.items() if date in chosen or date in placed},
            added=frozenset(chosen - set(requested)),
        )

    def held_back(self, dates: Collection[dt.date], not_ready: Collection[dt.date]) -> dict[dt.date, str]:
        """The given dates that depend on a refused, failed or missing drop, with the reason."""
        reasons: dict[dt.date, str] = {}
        for drop in self._drops:
            if drop.is_in_trouble and drop.date not in not_ready:
                self._hold(reasons, dates, drop, f"drop {drop.date} is {drop.status}")
        known = {drop.date: drop for drop in self._drops}
        for date in sorted(not_ready):
            reason = f"drop {date} is not there yet"
            if date in known:
                self._hold(reasons, dates, known[date], reason)
            if date in dates:
                reasons.setdefault(date, reason)
        return reasons

    def dependents(
        self,
        lost: Collection[dt.date],
        dates: Collection[dt.date],
        groups: Iterable[list[dt.date]],
        reasons: Mapping[dt.date, str],
    ) -> dict[dt.date, str]:
        """Dates that must wait because a date of their group, or one that decides them, waits.

        Args:
            lost: dates that are held back or failed and whose content would have changed.
            dates: dates that are not published yet.
            groups: dates that change in one commit.
            reasons: why dates of ``lost`` wait.
        """
        group_of = {date: group for group in groups for date in group}
        held: dict[dt.date, str] = {}
        queue = sorted(lost)
        while queue:
            cause = queue.pop()
            mates = set(group_of.get(cause, ()))
            for date in sorted(set(dates) - set(held) - set(lost)):
                if date in mates or self._decides(cause, date):
                    why = reasons.get(cause) or held.get(cause) or "it failed"
                    held[date] = why if why.startswith("date ") else f"date {cause} waits: {why}"
                    queue.append(date)
        return held

    def groups(self, stale: Collection[dt.date]) -> list[list[dt.date]]:
        """Groups of stale dates that must change in one commit; a group follows the groups that decide it.

        A line may move from one linked date to another. Readers who have seen it must never see it on both
        dates or on neither. Dates that no reader has seen are published one by one, deciding dates first;
        dates that decide each other form one group.
        """
        merged = _Groups(stale)
        decided: list[tuple[dt.date, dt.date]] = []
        for members in self._members.values():
            linked = sorted(date for date in members if date in merged)
            for position, date in enumerate(linked):
                for other in linked[position + 1 :]:
                    if date in self._published or other in self._published:
                        merged.join(date, other)
                    decided += [pair for pair in ((date, other), (other, date)) if self._decides(*pair)]
        return merged.in_order(decided)

    def _closed(self, requested: set[dt.date], groups: Iterable[list[dt.date]]) -> set[dt.date]:
        """The requested dates, plus the dates that change with them and the dates that decide them."""
        group_of = {date: group for group in groups for date in group}
        chosen: set[dt.date] = set()
        queue = sorted(requested)
        while queue:
            date = queue.pop()
            if date in chosen:
                continue
            chosen |= set(group_of[date])
            for mate in group_of[date]:
                queue += [
                    other
                    for other in self._linked(mate)
                    if other in group_of and other not in chosen and self._decides(other, mate)
                ]
        return chosen

    def _linked(self, date: dt.date) -> set[dt.date]:
        return {other for sale_date in self._sale_dates(date) for other in self._members[sale_date]} - {date}

    def _sale_dates(self, date: dt.date) -> set[dt.date]:
        current = set(self._inputs[date].sale_dates) if date in self._inputs else set()
        return current | set(self._published[date].sale_dates if date in self._published else ())

    def _decides(self, date: dt.date, other: dt.date) -> bool:
        """Whether lines of ``date`` may win against lines of ``other``."""
        for sale_date in self._inputs[date].sale_dates if date in self._inputs else ():
            ours, theirs = self._spans[(date, sale_date)], self._spans.get((other, sale_date))
            if theirs is not None and ours[0] <= theirs[1]:
                return True
        return False

    def _hold(
        self, reasons: dict[dt.date, str], dates: Collection[dt.date], drop: DropState, reason: str
    ) -> None:
        parts = (*drop.content, *drop.refused)
        sale_dates = {content.sale_date for content in parts} | {drop.date}
        business_dates = {content.business_date for content in parts} | {drop.date}
        for date in dates:
            state = self._published.get(date)
            is_published_from_drop = state is not None and drop.date in state.drop_dates
            if date in business_dates or is_published_from_drop or sale_dates & self._sale_dates(date):
                reasons.setdefault(date, reason)


class _Groups:
    """Dates joined into groups (union-find)."""

    def __init__(self, dates: Collection[dt.date]) -> None:
        self._parent = {date: date for date in dates}

    def __contains__(self, date: object) -> bool:
        return date in self._parent

    def join(self, date: dt.date, other: dt.date) -> None:
        self._parent[self.root(other)] = self.root(date)

    def root(self, date: dt.date) -> dt.date:
        while self._parent[date] != date:
            self._parent[date] = self._parent[self._parent[date]]
            date = self._parent[date]
        return date

    def in_order(self, decided: Iterable[tuple[dt.date, dt.date]]) -> list[list[dt.date]]:
        """The groups by date, but each after the groups that decide it. Groups in a cycle become one.

        Args:
            decided: pairs of a date and a date that it decides.
        """
        pairs = list(decided)
        while True:
            sorter: TopologicalSorter[dt.date] = TopologicalSorter({self.root(d): () for d in self._parent})
            for date, other in pairs:
                if self.root(date) != self.root(other):
                    sorter.add(self.root(other), self.root(date))
            try:
                sorter.prepare()
            except CycleError as error:
                cycle = error.args[1]
                for date in cycle:
                    self.join(cycle[0], date)
                continue
            return self._sorted_groups(sorter)

    def _sorted_groups(self, sorter: TopologicalSorter[dt.date]) -> list[list[dt.date]]:
        members: dict[dt.date, list[dt.date]] = defaultdict(list)
        for date in sorted(self._parent):
            members[self.root(date)].append(date)
        ready: list[tuple[list[dt.date], dt.date]] = []
        ordered: list[list[dt.date]] = []
        while sorter.is_active():
            for root in sorter.get_ready():
                heappush(ready, (members[root], root))
            group, root = heappop(ready)
            ordered.append(group)
            sorter.done(root)
        return ordered


def _spans(drops: Iterable[DropState]) -> Spans:
    """First and last drop with lines of each business date and sale date."""
    spans: dict[tuple[dt.date, dt.date], tuple[dt.date, dt.date]] = {}
    for drop in drops:
        for content in drop.content:
            key = (content.business_date, content.sale_date)
            first, last = spans.get(key, (drop.date, drop.date))
            spans[key] = (min(first, drop.date), max(last, drop.date))
    return spans
