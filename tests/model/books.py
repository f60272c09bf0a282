"""What the machine knows of a lake, and what it holds a run against: the laws."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from hypothesis.stateful import RuleBasedStateMachine
from pyspark.sql import SparkSession

from jobs.bill_customers import JOB as BILL_CUSTOMERS
from jobs.build_daily_sales import JOB as BUILD_DAILY_SALES
from jobs.ingest_sales import JOB as INGEST_SALES
from jobs.publish_sales import JOB as PUBLISH_SALES
from jobs.replay_quarantine import JOB as REPLAY_QUARANTINE
from jobs.run_batch import JOB as RUN_BATCH
from pipeline.cli.job import Job
from tests.jobs.shop import Ran, Shop
from tests.model import observed
from tests.model.reference import (
    ACCEPTED,
    FAILED,
    NOT_READY,
    NOTHING,
    REFUSED,
    Content,
    Delivery,
    Judged,
    Landed,
    Reference,
    expected_content,
    judge,
    left_out_keys,
    published_keys,
    totals,
)
from tests.model.trouble import Killed

Date = dt.date
Contents = dict[Date, Content]
ENDED = {0, 3, 4, 5}
STAGES = {
    "ingest_sales": INGEST_SALES,
    "publish_sales": PUBLISH_SALES,
    "build_daily_sales": BUILD_DAILY_SALES,
    "bill_customers": BILL_CUSTOMERS,
}
JOBS = {"run_batch": RUN_BATCH, **STAGES}
PUBLISHING = ("run_batch", "publish_sales")
INGESTING = ("run_batch", "ingest_sales")
CODE_OF = {REFUSED: 4, FAILED: 4, NOT_READY: 5}


@dataclass
class State:
    """All that the machine knows, so that a backup can hold it."""

    reference: Reference = field(default_factory=Reference)
    # Contents that each date may have: what it had, and after a crash what the run may have left.
    before: dict[Date, list[Content]] = field(default_factory=dict)
    gold: dict[Date, tuple[observed.Gold, observed.Gold]] = field(default_factory=dict)
    weekly: dict[Date, observed.Gold] = field(default_factory=dict)
    papers: dict[str, observed.Paper] = field(default_factory=dict)
    # After a crash: deliveries that bronze may hold of a drop (None: none), besides the reference's.
    maybe: dict[Date, list[Delivery | None]] = field(default_factory=dict)
    # Deliveries that a run which was cut off may have refused.
    maybe_refused: dict[Date, list[Delivery]] = field(default_factory=dict)
    # Contents that a restore which was cut off may have brought back.
    maybe_restored: dict[Date, list[Content]] = field(default_factory=dict)
    # Drops of which the lake may or may not know what became of the last delivery.
    uncertain: set[Date] = field(default_factory=set)
    crashed: bool = False
    # Deliveries that keep settings which the others have no more (--from-now-on).
    mixed: bool = False
    # Content by date and revision, as far as seen, and those whose files must still be there.
    history: dict[tuple[Date, int], Content] = field(default_factory=dict)
    restorable: set[tuple[Date, int]] = field(default_factory=set)


class Books(RuleBasedStateMachine):
    """A shop, and what is known of it."""

    spark: ClassVar[SparkSession]
    folder: ClassVar[Path]
    steps_done: ClassVar[int] = 0
    runs_done: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.shop = self.open_shop(Path(tempfile.mkdtemp(dir=self.folder)))
        self.landed: dict[Date, Landed] = {}
        self.numbers = itertools.count(1)
        self.state = State()
        self.backup: State | None = None
        self.steps: list[str] = []
        self.failed = False
        # The last command, where it ended by itself and nothing happened since.
        self.last: tuple[str, list[str], int] | None = None

    def open_shop(self, folder: Path) -> Shop:
        return Shop(self.spark, folder)

    def forget_tables(self) -> None:
        """Another process would know nothing of tables that were put in the place of others."""
        self.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]

    @property
    def reference(self) -> Reference:
        return self.state.reference

    # What a run does, and what it must come to

    def share(self, strict: bool = False) -> list[str]:
        return ["--set", f"audit.max_conflict_share={0.01 if strict else 1}"]

    def arguments(self, *extra: str) -> list[str]:
        return [*self.reference.settings.arguments(), *extra]

    def run(self, name: str, *arguments: str) -> Ran | None:
        """Runs a job to its end and checks the laws; None where it was killed."""
        job: Job = REPLAY_QUARANTINE if name == "replay_quarantine" else JOBS[name]
        versions, before = observed.versions(self.shop), observed.content(self.shop)
        try:
            ran = self.shop.run(*self.arguments(*arguments), job=job)
        except Killed:
            self.note_crash(name, list(arguments))
            return None
        finally:
            type(self).runs_done += 1
        self.check(ran, name, list(arguments), versions, before)
        return ran

    def note_crash(self, name: str, arguments: list[str]) -> None:
        """A run was cut off: each drop may have been ingested or not, each date published or not."""
        after = copy.deepcopy(self.reference)
        maybe = self.state.maybe
        for drop in self.asked_drops(name, arguments):
            was = self.reference.accepted.get(drop)
            self.ingest(after, drop)
            if after.accepted.get(drop) != was:
                maybe.setdefault(drop, []).append(after.accepted.get(drop))
            if after.status.get(drop) != self.reference.status.get(drop):
                self.state.uncertain.add(drop)
            if drop in after.refused:
                self.state.uncertain.add(drop)
                self.state.maybe_refused.setdefault(drop, []).append(after.refused[drop])
        if name in PUBLISHING:
            for contents in self.possible_contents():
                for date in contents.keys() | self.state.before.keys():
                    self.state.before[date] = [*self.old(date), contents.get(date, NOTHING)]
        self.state.crashed = True
        self.last = None
        self.check_unique(observed.content(self.shop))

    def possible_contents(self) -> list[Contents]:
        """What may have been published, by what bronze may hold."""
        drops = sorted(self.state.maybe)
        choices = [[self.reference.accepted.get(drop), *self.state.maybe[drop]] for drop in drops]
        found = []
        for chosen in itertools.islice(itertools.product(*choices), 64):
            accepted = {**self.reference.accepted, **dict(zip(drops, chosen, strict=True))}
            lines = [
                line for delivery in accepted.values() if delivery is not None for line in delivery.lines
            ]
            found.append(expected_content(lines, self.reference.settings.ranges))
        return found

    def asked_drops(self, name: str, arguments: list[str]) -> list[Date]:
        if name not in INGESTING:
            return []
        only = date_of(arguments)
        return [drop for drop in sorted(self.landed) if only in (None, drop)]

    def ingest(self, reference: Reference, drop: Date) -> str:
        """What an ingest makes of a landed drop."""
        landed, held = self.landed[drop], reference.accepted.get(drop)
        if held is not None and held.number == landed.number:
            reference.take(drop, Judged(ACCEPTED, held))
        else:
            reference.take(drop, judge(drop, landed, reference.settings))
        return reference.status[drop]

    def check(
        self, ran: Ran, name: str, arguments: list[str], versions: dict[str, int], before: Contents | None
    ) -> None:
        assert "Traceback" not in ran.stderr, ran.stderr
        requested = self.asked_drops(name, arguments)
        assert ran.code in ENDED, (ran.code, ran.stderr)
        for drop in requested:
            self.ingest(self.reference, drop)
            self.state.uncertain.discard(drop)
            self.state.maybe_refused.pop(drop, None)
        self.settle_bronze()
        after = observed.content(self.shop)
        self.check_unique(after)
        stale = self.stale_dates()
        if name in PUBLISHING or name == "replay_quarantine":
            self.check_published(after, name, arguments)
        else:
            self.check_not_published(after)
        self.check_codes(ran, name, arguments, requested, stale)
        changed_dates = {date for date in after if after[date] not in self.old(date)}
        self.check_losers(after)
        self.check_gold(ran, name, after)
        self.check_weekly(ran, name, after)
        self.check_papers(ran, name, after)
        self.check_bronze()
        self.settle(after)
        self.check_ledger(changed_dates)
        if name in ("ingest_sales", *STAGES):
            self.check_scope(name, versions)
        self.last = (name, arguments, ran.code)

    # Each of the laws

    def check_unique(self, contents: Contents) -> None:
        keys: Counter[Any] = Counter()
        for found in contents.values():
            keys += published_keys(found)
        twice = [key for key, count in keys.items() if count > 1]
        assert not twice, f"law 2: published twice: {twice}\n{describe(contents)}"

    def check_losers(self, contents: Contents) -> None:
        """Law 1: what was left out as a copy is published as another."""
        if self.reference.restored:
            return
        published = {key for found in contents.values() for key in published_keys(found)}
        for date, found in contents.items():
            lost = left_out_keys(found) - published
            assert not lost, f"law 1: {date} leaves out {lost}, which no date publishes\n{describe(contents)}"

    def check_published(self, after: Contents, name: str, arguments: list[str]) -> None:
        """Laws 1, 3 and 6: a date has what it had or what the accepted deliveries make of it."""
        expected, held = self.reference.expected(), self.held_dates(arguments)
        must_keep = self.keeping_dates()
        alone = date_of(arguments) if name == "publish_sales" else None
        for date in sorted(after.keys() | expected.keys() | self.state.before.keys()):
            now, wanted = after.get(date, NOTHING), expected.get(date, NOTHING)
            allowed = [*self.old(date), wanted]
            if date in self.reference.restored:
                must, may = self.reference.standing(date)
                there = self.reference.restored[date].content
                allowed = [there] if must else [there, wanted] if may or date in held or alone else [wanted]
            elif date in must_keep and not self.state.crashed:
                allowed = self.old(date)
            elif date not in held and (alone is None or self.is_alone(alone, date)):
                allowed = [wanted]
            allowed = [*allowed, *self.state.maybe_restored.get(date, ())]
            assert now in allowed, (
                f"{date} holds\n{now}\n"
                + "\n".join(f"allowed\n{one}" for one in allowed)
                + f"\nheld {sorted(map(str, held))}, kept {sorted(map(str, must_keep))}"
            )

    def check_not_published(self, after: Contents) -> None:
        for date in after.keys() | self.state.before.keys():
            now = after.get(date, NOTHING)
            assert now in self.old(date), (
                f"{date} changed without a publish:\n{now}\nwas\n{self.old(date)[0]}"
            )

    def check_codes(
        self, ran: Ran, name: str, arguments: list[str], requested: list[Date], stale: set[Date]
    ) -> None:
        """Law 7."""
        must = {CODE_OF[self.reference.status[drop]] for drop in requested if drop in self.trouble()}
        # Dates wait, for a drop that an audit stopped or that is not there: which code is told is open.
        may = {4, 5} if self.trouble() or self.state.uncertain else set()
        if name in PUBLISHING and is_strict(arguments):
            may |= {4} if self.over_share() else set()
        if name == "publish_sales" and date_of(arguments) is not None:
            may |= {4, 5}
        if name in ("build_daily_sales", "bill_customers") and stale:
            may |= {4, 5}
        if name in PUBLISHING and date_of(arguments) is None and not self.state.crashed:
            must |= {4} if is_strict(arguments) and self.over_share() & stale else set()
        worst = first_code(must)
        allowed = {worst} | {code for code in may if first_code({code, worst}) == code}
        assert ran.code in allowed, f"code {ran.code}, not one of {allowed}: {ran.stderr}"

    def check_gold(self, ran: Ran, name: str, after: Contents) -> None:
        """Gold is what it was or what follows from the published content; after a whole batch the latter."""
        gold, held = observed.gold(self.shop), self.held_dates([])
        revisions = observed.revisions(self.shop)
        builds = {
            "run_batch": {0, 1},
            "replay_quarantine": {0, 1},
            "build_daily_sales": {0},
            "bill_customers": {1},
        }
        for date in gold.keys() | after.keys() | self.state.gold.keys():
            for position, wanted in enumerate(gold_of(after.get(date, NOTHING))):
                found = gold.get(date, ({}, {}))[position]
                was = self.state.gold.get(date, ({}, {}))[position]
                is_right = {grain: sums[:-1] for grain, sums in found.items()} == wanted
                is_built = position in builds.get(name, ()) and not (date in held and ran.code)
                if is_built or not (found == was or self.state.crashed):
                    assert is_right, f"{name}: gold of {date} is {found}, must be {wanted}"
                if is_built and found:
                    told = {sums[-1] for sums in found.values()}
                    assert told == {revisions[date][0]}, f"{date}: gold of {told}, ledger {revisions[date]}"

    def check_weekly(self, ran: Ran, name: str, after: Contents) -> None:
        """A week is what it was or the sum of its published dates; after a whole batch the latter."""
        weekly, wanted = observed.weekly(self.shop), weekly_of(after)
        held = {monday_of(date) for date in self.held_dates([])} if ran.code else set()
        builds = name in ("run_batch", "replay_quarantine", "build_daily_sales")
        for week in weekly.keys() | wanted.keys() | self.state.weekly.keys():
            found, was = weekly.get(week, {}), self.state.weekly.get(week, {})
            if (builds and week not in held) or not (found == was or self.state.crashed):
                assert found == wanted.get(week, {}), f"{name}: week {week} is {found}, must be {wanted}"

    def check_papers(self, ran: Ran, name: str, after: Contents) -> None:
        """The laws of documents; after a whole batch their sums are what is owed."""
        papers = observed.papers(self.shop)
        for number, paper in self.state.papers.items():
            assert papers.get(number) == paper, f"document {number} was {paper}, is {papers.get(number)}"
        given: dict[str, list[int]] = defaultdict(list)
        billed: dict[tuple[Date, Any], tuple[Any, ...]] = {}
        for number, paper in papers.items():
            given[paper.series].append(paper.number)
            invoice = papers.get(paper.refers_to or number)
            assert invoice is not None, f"document {number} refers to {paper.refers_to}, which is not there"
            assert (invoice.kind, invoice.date, invoice.grain) == ("invoice", paper.date, paper.grain), number
            so_far = billed.get((paper.date, paper.grain), (0,) * len(paper.sums))
            billed[paper.date, paper.grain] = tuple(map(sum, zip(so_far, paper.sums, strict=True)))
        for series, numbers in given.items():
            assert sorted(numbers) == list(range(1, len(numbers) + 1)), f"series {series}: {sorted(numbers)}"
        lines = observed.paper_lines(self.shop)
        assert lines == {number: paper.sums for number, paper in papers.items()}, "lines of documents"
        if name == "run_batch":
            self.check_billed(ran, after, billed)
        self.state.papers = papers

    def check_billed(
        self, ran: Ran, after: Contents, billed: dict[tuple[Date, Any], tuple[Any, ...]]
    ) -> None:
        held = self.held_dates([]) if ran.code else set()
        for date in {date for date, _ in billed} | after.keys():
            found = {grain: sums for (of, grain), sums in billed.items() if of == date and any(sums)}
            wanted = gold_of(after.get(date, NOTHING))[1]
            assert date in held or found == wanted, f"{date} is billed {found}, must be {wanted}"

    def check_bronze(self) -> None:
        """Bronze holds the accepted deliveries and nothing else that is accepted."""
        found = observed.bronze(self.shop)
        wanted = Counter(observed.as_bronze(line) for line in self.reference.lines())
        assert found == wanted, f"bronze: too much {found - wanted}, missing {wanted - found}"

    def check_ledger(self, dates: set[Date]) -> None:
        """Law 1 in the ledger's words, at the revision that readers see."""
        revisions, cells = observed.revisions(self.shop), observed.balance(self.shop)
        received: dict[Date, list[Any]] = defaultdict(list)
        for found in self.reference.lines():
            received[found.business_date].append(found)
        for date in dates - self.reference.restored.keys():
            if self.content().get(date, NOTHING) != self.reference.expected().get(date, NOTHING):
                continue
            assert date in revisions, f"{date} is published, and no revision of it is done"
            rows = cells.get((revisions[date][1], date), [])
            for row, prefix in itertools.product(rows, ("", "gross_", "absolute_gross_")):
                parts = sum(row[f"{prefix}{share}"] for share in ("published", "duplicates", "conflicts"))
                assert row[f"{prefix}received"] == parts, row
            assert sum(row["received"] for row in rows) == len(received[date]), (date, rows)

    def check_scope(self, name: str, versions: dict[str, int]) -> None:
        """A stage writes its own layer and no other."""
        now = observed.versions(self.shop)
        # The first ingest of a lake makes its billing tables, so that nothing is published before them.
        own = {"ingest_sales": ("bronze/", "billing/"), "publish_sales": ("silver/",)}.get(name, ("gold/",))
        others = {table for table in now if not table.startswith(own) and now[table] != versions.get(table)}
        # What a run before it left half done, it completes or undoes, wherever that is.
        assert not others or self.was_crashed, f"{name} committed to {others}"

    def check_kept(self) -> None:
        """Nothing that readers see has changed."""
        after = observed.content(self.shop)
        self.check_unique(after)
        for date in after.keys() | self.state.before.keys():
            now = after.get(date, NOTHING)
            assert now in self.old(date), f"{date} changed:\n{now}\nwas\n{self.old(date)[0]}"

    # What the machine knows

    def old(self, date: Date) -> list[Content]:
        return self.state.before.get(date, [NOTHING])

    def content(self) -> Contents:
        """Content of each date as last seen."""
        return {date: contents[0] for date, contents in self.state.before.items()}

    def settle_bronze(self) -> None:
        """After a crash the tables tell which of two deliveries was taken: one of them it must be."""
        if not self.state.maybe:
            return
        by_drop: dict[Date, Counter[Any]] = defaultdict(Counter)
        for row, count in observed.bronze(self.shop).items():
            by_drop[row[0]][row] += count
        for drop, choices in self.state.maybe.items():
            held = self.reference.accepted.get(drop)
            for choice in (held, *reversed(choices)):
                lines = choice.lines if choice is not None else ()
                if by_drop[drop] == Counter(map(observed.as_bronze, lines)):
                    break
            else:
                raise AssertionError(f"bronze holds of {drop} no delivery that was accepted: {by_drop[drop]}")
            if choice is not None:
                self.reference.accepted[drop] = choice
        self.state.maybe = {}

    def settle(self, after: Contents) -> None:
        """What was seen is what the next step starts from."""
        self.was_crashed = self.state.crashed
        for date in list(self.reference.restored):
            if after.get(date, NOTHING) != self.reference.restored[date].content:
                del self.reference.restored[date]
        expected = self.reference.expected()
        for date, now in after.items():
            is_due = now == expected.get(date, NOTHING) or now == self.old(date)[0]
            if not is_due and now in self.state.maybe_restored.get(date, ()):
                self.reference.restore(date, now)
        self.state.maybe_restored = {}
        self.state.before = {date: [now] for date, now in after.items()}
        self.state.gold = observed.gold(self.shop)
        self.state.weekly = observed.weekly(self.shop)
        self.state.crashed = False
        for date, (revision, _) in observed.revisions(self.shop).items():
            known = self.state.history.setdefault((date, revision), after.get(date, NOTHING))
            assert known == after.get(date, NOTHING), f"law 4: revision {revision} of {date} changed"
            self.state.restorable.add((date, revision))

    was_crashed = False

    def note_gold(self, dates: set[Date]) -> None:
        gold = observed.gold(self.shop)
        for date in dates:
            found = gold.get(date, ({}, {}))
            for there, wanted in zip(found, gold_of(self.old(date)[0]), strict=True):
                assert {grain: sums[:-1] for grain, sums in there.items()} == wanted, (date, there, wanted)
        self.state.gold = gold
        self.state.weekly = observed.weekly(self.shop)
        self.check_weeks_of(dates)
        for date, (revision, _) in observed.revisions(self.shop).items():
            self.state.history.setdefault((date, revision), self.content().get(date, NOTHING))

    def check_weeks_of(self, dates: set[Date]) -> None:
        wanted = weekly_of(self.content())
        for week in {monday_of(date) for date in dates}:
            found = self.state.weekly.get(week, {})
            assert found == wanted.get(week, {}), f"week {week} is {found}, must be {wanted}"

    def trouble(self) -> dict[Date, str]:
        """Drops whose last delivery was not taken."""
        return {drop: status for drop, status in self.reference.status.items() if status != ACCEPTED}

    def stale_dates(self) -> set[Date]:
        expected, now = self.reference.expected(), self.content()
        dates = expected.keys() | now.keys()
        stale = {date for date in dates if expected.get(date, NOTHING) != now.get(date, NOTHING)}
        return {
            date
            for date in stale
            if date not in self.reference.restored or not self.reference.standing(date)[0]
        }

    def unbuilt_dates(self) -> set[Date]:
        found = set()
        for date, now in self.content().items():
            there = self.state.gold.get(date, ({}, {}))
            sums = [{grain: sums[:-1] for grain, sums in one.items()} for one in there]
            if sums != list(gold_of(now)):
                found.add(date)
        return found

    def over_share(self) -> set[Date]:
        outcomes = {"conflict", "late_conflict"}
        return {
            date
            for date, found in self.reference.expected().items()
            if any(row[-2] in outcomes for row in found.conflicts)
        }

    def keeping_dates(self) -> set[Date]:
        """Dates with accepted lines of a drop whose last delivery is known as refused or failed."""
        known = {drop for drop, status in self.trouble().items() if status in (REFUSED, FAILED)}
        return {
            found.business_date
            for drop in known - self.state.uncertain
            if drop in self.reference.accepted
            for found in self.reference.accepted[drop].lines
        }

    def held_dates(self, arguments: list[str]) -> set[Date]:
        """Dates that may wait: bound by lines of one sale date to a drop or a date in trouble."""
        waiting: set[Any] = set()
        troubled = set(self.trouble()) | self.state.uncertain
        waiting |= {("drop", drop) for drop in troubled}
        if is_strict(arguments):
            waiting |= {("date", date) for date in self.over_share()}
        edges = self.edges(troubled)
        while True:
            reached = {two for pair in edges for two in pair if waiting & set(pair)}
            if reached <= waiting:
                return {date for kind, date in waiting if kind == "date"}
            waiting |= reached

    def edges(self, troubled: set[Date]) -> set[tuple[Any, Any]]:
        """What decides each other: dates and the sale dates of their lines, published or accepted."""
        edges: set[tuple[Any, Any]] = set()
        deliveries = [*self.reference.accepted.values(), *self.reference.refused.values()]
        for choices in (*self.state.maybe.values(), *self.state.maybe_refused.values()):
            deliveries += [choice for choice in choices if choice is not None]
        for found in (found for delivery in deliveries for found in delivery.lines):
            edges.add((("date", found.business_date), ("sold", found.sale_date)))
            if found.drop_date in troubled:
                edges.add((("drop", found.drop_date), ("date", found.business_date)))
        for drop in troubled:
            # Nobody knows what a drop holds that could not be read: of its own date, most likely.
            edges |= {(("drop", drop), ("date", drop)), (("drop", drop), ("sold", drop))}
        for date, contents in self.state.before.items():
            for found in contents:
                keys = {*published_keys(found), *left_out_keys(found)}
                edges |= {(("date", date), ("sold", key[3])) for key in keys}
                edges |= {(("drop", row[-3]), ("date", date)) for row in found.sales if row[-3] in troubled}
        return edges

    def is_alone(self, requested: Date, date: Date) -> bool:
        """Whether the date asked for is bound to no other: then nothing hinders it."""
        if requested != date:
            return False
        bound = {("date", date)}
        edges = self.edges(set())
        for _ in range(len(edges)):
            bound |= {two for pair in edges for two in pair if bound & set(pair)}
        return {found for kind, found in bound if kind == "date"} == {date}

    def is_ingested(self) -> bool:
        held = {drop: delivery.number for drop, delivery in self.reference.accepted.items()}
        return all(held.get(drop) == landed.number for drop, landed in self.landed.items())

    def is_sound(self) -> bool:
        """Whether nothing is in trouble, neither in the lake nor in what is landed."""
        settings = self.reference.settings
        landed = [judge(drop, found, settings).status for drop, found in self.landed.items()]
        is_whole = not self.state.crashed and not self.reference.restored and not self.trouble()
        is_known = self.reference.accepted.keys() <= self.landed.keys()
        return bool(self.reference.accepted) and is_whole and is_known and set(landed) == {ACCEPTED}

    def earlier_revisions(self) -> list[tuple[Date, int]]:
        revisions = observed.revisions(self.shop)
        return sorted(
            (date, revision)
            for date, revision in self.state.history
            if date in revisions and revision < revisions[date][0]
        )

    def must_restore(self, date: Date, revision: int) -> bool:
        """Whether nothing can be said against a restore: all is published, and it touches no other date."""
        if (date, revision) not in self.state.restorable or self.stale_dates() or self.trouble():
            return False
        if self.reference.restored or (self.landed and not self.is_ingested()):
            return False
        others = [found for other, found in self.content().items() if other != date]
        keys = {key for found in others for key in (*published_keys(found), *left_out_keys(found))}
        contents = (self.state.history[date, revision], self.content().get(date, NOTHING))
        return not keys & {
            key for found in contents for key in (*published_keys(found), *left_out_keys(found))
        }


def gold_of(content: Content) -> tuple[observed.Gold, observed.Gold]:
    daily = totals(content, "store_id", "currency")
    bills = totals(content, "customer_id", "currency")
    return (
        {(store, "Fruit", currency): tuple(vars(sums).values()) for (store, currency), sums in daily.items()},
        {grain: tuple(vars(sums).values()) for grain, sums in bills.items()},
    )


def monday_of(date: Date) -> Date:
    return date - dt.timedelta(days=date.weekday())


def weekly_of(contents: Contents) -> dict[Date, observed.Gold]:
    """Sums of each week that has a line, by product name and currency."""
    sales: dict[Date, tuple[Any, ...]] = defaultdict(tuple)
    for date, found in contents.items():
        sales[monday_of(date)] += found.sales
    sums = {week: totals(Content(lines, ()), "product_name", "currency") for week, lines in sales.items()}
    return {
        week: {grain: tuple(vars(one).values()) for grain, one in found.items()}
        for week, found in sums.items()
        if found
    }


def without_revisions(gold: dict[Date, tuple[observed.Gold, observed.Gold]]) -> dict[Date, Any]:
    return {
        date: [{grain: sums[:-1] for grain, sums in one.items()} for one in found]
        for date, found in gold.items()
        if any(found)
    }


def not_empty(contents: Contents) -> Contents:
    return {date: found for date, found in contents.items() if found != NOTHING}


def date_of(arguments: list[str]) -> Date | None:
    if "--date" not in arguments:
        return None
    return dt.date.fromisoformat(arguments[arguments.index("--date") + 1])


def is_strict(arguments: list[str]) -> bool:
    return "audit.max_conflict_share=0.01" in arguments


def first_code(codes: set[int]) -> int:
    """The exit code of a run to which several apply."""
    return next((code for code in (2, 5, 75, 1, 4, 3) if code in codes), 0)


def describe(contents: Contents) -> str:
    return "\n".join(f"{date}\n{found}" for date, found in sorted(contents.items()))
