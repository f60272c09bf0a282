"""The flow of lines through a run: from delivered to billed, and where every other line went."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.planning.reconciliation import totals_by
from pipeline.report.pages.facts import RunFacts
from schemas.states import DropStatus


@dataclass(frozen=True)
class Node:
    """A state of lines.

    Attributes:
        key: its name in links.
        label: its name for people.
        lines: lines that reached it.
        column: 0 for the leftmost.
        kind: ``good``, ``kept`` (not billed, but accounted for), ``bad`` or ``waiting``; decides the colour.
        meaning: what became of the lines, in a sentence.
    """

    key: str
    label: str
    lines: int
    column: int
    kind: str
    meaning: str


@dataclass(frozen=True)
class Link:
    """Lines that went from one state to another."""

    source: str
    target: str
    lines: int


@dataclass(frozen=True)
class Flow:
    """The states and the links between them; both empty if the run moved no lines."""

    nodes: list[Node] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)

    def lines(self, key: str) -> int:
        """Lines of a state; 0 if no line reached it."""
        return next((node.lines for node in self.nodes if node.key == key), 0)


@dataclass(frozen=True)
class _Counts:
    """Lines by what became of them."""

    accepted: int
    rejected: int
    refused: int
    earlier: int
    waiting: int
    published: int
    duplicates: int
    conflicts: int
    billed: int
    walk_in: int
    unbilled: int

    @property
    def delivered(self) -> int:
        return self.accepted + self.rejected + self.refused

    @property
    def missing(self) -> int:
        """Accepted lines that are nowhere; there must be none."""
        found = self.published + self.duplicates + self.conflicts + self.waiting
        return max(0, self.accepted + self.earlier - found)


def flow_of(facts: RunFacts) -> Flow:
    """Returns the flow of a run.

    A date is published whole: lines of its earlier drops enter the flow beside what the run received.
    """
    counts = _count(facts)
    if counts.delivered + counts.published == 0:
        return Flow()
    return Flow(
        [node for node in _nodes(counts) if node.lines], [link for link in _links(counts) if link.lines]
    )


def _count(facts: RunFacts) -> _Counts:
    ingested = [drop for drop in facts.drops if drop.status == DropStatus.INGESTED]
    accepted, done = sum(drop.accepted for drop in ingested), facts.done_dates
    # A date that failed or is held back waits whole; other dates wait with what this run received of them.
    waiting = sum(facts.waiting.values()) + sum(
        lines
        for drop in ingested
        for date, lines in drop.content.items()
        if date not in done and date not in facts.waiting
    )
    total = totals_by(facts.balances, lambda _: "all").get("all")
    received, published, duplicates, conflicts = (
        (total.received.lines, total.published.lines, total.duplicates.lines, total.conflicts.lines)
        if total is not None
        else (0, 0, 0, 0)
    )
    billed, walk_in = _billed(facts)
    return _Counts(
        accepted=accepted,
        rejected=sum(drop.rejected for drop in ingested),
        refused=sum(drop.lines for drop in facts.drops if drop.status != DropStatus.INGESTED),
        earlier=max(0, received - (accepted - waiting)),
        waiting=waiting,
        published=published,
        duplicates=duplicates,
        conflicts=conflicts,
        billed=billed,
        walk_in=walk_in,
        unbilled=published - billed - walk_in,
    )


def _billed(facts: RunFacts) -> tuple[int, int]:
    """Published lines that the run billed, and those that have no customer.

    A run also bills dates that earlier runs published: their lines are not in this flow.
    """
    statements = facts.billed.lines if facts.billed is not None else {}
    by_date = totals_by(facts.balances, lambda key: key.business_date)
    both = [date for date in statements if date in by_date]
    billed = sum(statements[date] for date in both)
    return billed, sum(by_date[date].published.lines for date in both) - billed


def _nodes(counts: _Counts) -> list[Node]:
    return [
        Node("delivered", "Delivered", counts.delivered, 0, "good", "Lines of the drops that this run read."),
        Node(
            "earlier",
            "From earlier drops",
            counts.earlier,
            0,
            "good",
            "Lines that the lake had accepted before. A date is published whole, with all of its lines.",
        ),
        Node(
            "accepted",
            "Accepted",
            counts.accepted + counts.earlier,
            1,
            "good",
            "Lines that passed every rule.",
        ),
        Node(
            "rejected",
            "Rejected",
            counts.rejected,
            1,
            "bad",
            "Lines that broke a rule. The lake keeps them with their reasons; replay_quarantine tries again.",
        ),
        Node(
            "refused",
            "Refused deliveries",
            counts.refused,
            1,
            "bad",
            "Lines of deliveries that were refused whole, by an audit or because their files changed while "
            "they were read. What was published before stays.",
        ),
        Node("published", "Published", counts.published, 2, "good", "Lines that readers see, each once."),
        Node(
            "duplicates",
            "Duplicates",
            counts.duplicates,
            2,
            "kept",
            "Equal copies of a published line, counted on it.",
        ),
        Node(
            "conflicts",
            "Conflicts",
            counts.conflicts,
            2,
            "bad",
            "Lines with the key of another line but another content; kept in silver/conflicts.",
        ),
        Node(
            "waiting",
            "Waiting",
            counts.waiting,
            2,
            "waiting",
            "Accepted lines of dates that this run did not publish. They are kept for the next run.",
        ),
        Node(
            "missing",
            "Not accounted for",
            counts.missing,
            2,
            "bad",
            "Accepted lines that the reconciliation does not find. Run verify_sales.",
        ),
        Node("billed", "Billed", counts.billed, 3, "good", "Lines on a customer's statement."),
        Node(
            "walk_in",
            "No customer",
            counts.walk_in,
            3,
            "kept",
            "Published lines of walk-in customers: there is nobody to bill.",
        ),
        Node(
            "unbilled",
            "Not billed yet",
            counts.unbilled,
            3,
            "waiting",
            "Published lines of dates that this run did not bill.",
        ),
    ]


def _links(counts: _Counts) -> list[Link]:
    return [
        Link("delivered", "accepted", counts.accepted),
        Link("delivered", "rejected", counts.rejected),
        Link("delivered", "refused", counts.refused),
        Link("earlier", "accepted", counts.earlier),
        Link("accepted", "published", counts.published),
        Link("accepted", "duplicates", counts.duplicates),
        Link("accepted", "conflicts", counts.conflicts),
        Link("accepted", "waiting", counts.waiting),
        Link("accepted", "missing", counts.missing),
        Link("published", "billed", counts.billed),
        Link("published", "walk_in", counts.walk_in),
        Link("published", "unbilled", counts.unbilled),
    ]
