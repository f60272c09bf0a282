"""A shop to which anything happens in any order, held against the reference after each run."""

from __future__ import annotations

import copy
import datetime as dt
import functools
import gzip
import itertools
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from pyspark.sql import SparkSession

from command.job import Job
from jobs.bill_customers import JOB as BILL_CUSTOMERS
from jobs.build_daily_sales import JOB as BUILD_DAILY_SALES
from jobs.ingest_sales import JOB as INGEST_SALES
from jobs.maintain_tables import JOB as MAINTAIN_TABLES
from jobs.publish_sales import JOB as PUBLISH_SALES
from jobs.replay_quarantine import JOB as REPLAY_QUARANTINE
from jobs.restore_sales import JOB as RESTORE_SALES
from jobs.run_batch import JOB as RUN_BATCH
from jobs.verify_sales import JOB as VERIFY_SALES
from tests.jobs.shop import Ran, Shop, line
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
    Sale,
    Settings,
    expected_content,
    judge,
    left_out_keys,
    published_keys,
    totals,
)
from tests.model.trouble import Killed, at_commit, kill, silence_lock
from tests.support.landing import csv_text, drop_folder

Date = dt.date
Contents = dict[Date, Content]
FIRST = dt.date(2026, 3, 2)
# In time, late by a day or three, and too late: an adjustment.
DROPS = [FIRST + dt.timedelta(days) for days in (0, 1, 3, 10, 12)]
GOOD = ("good",) * 10
BAD = ("rejects", "manifest", "header", "gzip", "empty")
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
PAYLOADS: list[dict[str, Any]] = [
    {},
    {"product_name": "Zebra", "gross_amount": "11.00", "customer_id": None},
    {"product_name": "Mango", "gross_amount": "-5.00", "discount_amount": "0", "quantity": "-1",
     "line_type": "RETURN", "currency": "EUR", "customer_id": "C-8"},
]  # fmt: skip


def sold(day: int, number: int, store_id: str, payload: int) -> Sale:
    """A sale of one of two days; the third is of a late evening in New York, a day later elsewhere."""
    date = FIRST + dt.timedelta(day)
    moment = f"{date}T15:00:00+00:00" if number < 3 else f"{date + dt.timedelta(1)}T03:30:00+00:00"
    return Sale(store_id, f"T-{number}", 1, moment, **PAYLOADS[payload])


drops = st.sampled_from(DROPS)
sales = st.builds(
    sold,
    st.sampled_from([0, 0, 1]),
    st.sampled_from([1, 2, 3]),
    st.sampled_from(["1042", "1042", "2"]),
    st.sampled_from([0, 0, 1, 2]),
)
lines_of_file = st.lists(sales, min_size=1, max_size=4)
commits = st.one_of(
    st.integers(1, 22),
    st.sampled_from(
        ["bronze/received_sales", "silver/conflicts", "silver/sales", "gold/daily_sales", "gold/invoices"]
    ),
)


def distinct(lines: Iterable[Sale]) -> tuple[Sale, ...]:
    """Of lines with one key in a file, those equal to the first: a hash would decide between others."""
    first: dict[tuple[str, ...], Sale] = {}
    kept = []
    for sale in lines:
        if first.setdefault((sale.store_id, sale.transaction_id, sale.sold_at), sale) == sale:
            kept.append(sale)
    return tuple(kept)


@dataclass
class State:
    """All that the machine knows, so that a backup can hold it."""

    reference: Reference = field(default_factory=Reference)
    # Contents that each date may have: what it had, and after a crash what the run may have left.
    before: dict[Date, list[Content]] = field(default_factory=dict)
    gold: dict[Date, tuple[observed.Gold, observed.Gold]] = field(default_factory=dict)
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


def whole(function: Callable[..., None]) -> Callable[..., None]:
    """A step of the machine: noted, and told with all steps before it where it fails."""

    @functools.wraps(function)
    def step(self: SalesMachine, **arguments: Any) -> None:
        told = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        self.steps.append(f"state.{function.__name__}({told})")
        type(self).steps_done += 1
        self.failed = True
        try:
            function(self, **arguments)
        except Exception as error:
            error.add_note("steps:\n" + "\n".join(self.steps))
            raise
        self.failed = False

    return step


class SalesMachine(RuleBasedStateMachine):
    """The events of a shop; see the rules."""

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

    # Deliveries

    @rule(
        drop=drops,
        first=lines_of_file,
        second=st.one_of(st.just([]), lines_of_file),
        kind=st.sampled_from(GOOD + BAD),
    )
    @whole
    def deliver(self, drop: Date, first: list[Sale], second: list[Sale], kind: str = "good") -> None:
        self.land(drop, {"a.csv": distinct(first), "b.csv": distinct(second)}, kind)

    @precondition(lambda self: self.landed)
    @rule(
        data=st.data(),
        drop=drops,
        change=st.sampled_from(["same", "without first", "without last", "payload", "moved", "second file"]),
        kind=st.sampled_from(GOOD + BAD),
    )
    @whole
    def deliver_again(self, data: Any, drop: Date, change: str, kind: str) -> None:
        """What a drop holds, a little different: the same drop again, or another one that resends it."""
        source = data if isinstance(data, dt.date) else data.draw(st.sampled_from(sorted(self.landed)))
        self.steps[-1] = (
            f"state.deliver_again(data={source!r}, drop={drop!r}, change={change!r}, kind={kind!r})"
        )
        lines = self.landed[source].sales()
        files = {"a.csv": changed(lines, change), "b.csv": ()}
        if change == "second file":
            files = {"a.csv": tuple(lines[1:]), "b.csv": tuple(lines[:1])}
        self.land(drop, {name: distinct(found) for name, found in files.items()}, kind)

    @rule(drop=drops)
    @whole
    def withdraw(self, drop: Date) -> None:
        """Closed and empty; where nothing was delivered before, too."""
        self.land(drop, {}, "closed")

    @rule(drop=drops, lines=lines_of_file)
    @whole
    def deliver_walk_ins(self, drop: Date, lines: list[Sale]) -> None:
        self.land(drop, {"a.csv": distinct(replace(sale, customer_id=None) for sale in lines)}, "good")

    def land(self, drop: Date, files: dict[str, tuple[Sale, ...]], kind: str) -> None:
        self.last = None
        files = {name: lines for name, lines in files.items() if lines}
        if kind == "rejects":
            count = sum(map(len, files.values())) + 1
            broken = [
                Sale("1042", f"X-{n}", 1, f"{FIRST}T15:00:00+00:00", quantity="x") for n in range(count)
            ]
            files = {**files, "x.csv": tuple(broken)}
            kind = "good"
        if not files and kind not in ("closed", "empty"):
            kind = "closed"
        self.landed[drop] = Landed(next(self.numbers), files, kind)
        write_drop(self.shop, drop, self.landed[drop])

    # Runs

    @rule(strict=st.sampled_from([False, False, False, True]))
    @whole
    def run_batch(self, strict: bool = False) -> None:
        self.run("run_batch", *self.share(strict))

    @precondition(lambda self: self.landed)
    @rule(drop=drops)
    @whole
    def run_batch_of_a_drop(self, drop: Date) -> None:
        if drop in self.landed:
            self.run("run_batch", "--date", str(drop), *self.share())

    @rule(stage=st.sampled_from(sorted(STAGES)))
    @whole
    def run_stage(self, stage: str) -> None:
        self.run(stage, *self.share())

    @precondition(lambda self: self.state.reference.accepted)
    @rule(date=drops, ingests=st.booleans())
    @whole
    def publish_a_date(self, date: Date, ingests: bool = False) -> None:
        if ingests:
            self.run("ingest_sales", *self.share())
        self.run("publish_sales", "--date", str(date), *self.share())

    @precondition(lambda self: self.last is not None)
    @rule()
    @whole
    def run_again(self) -> None:
        """Law 5."""
        assert self.last is not None
        name, arguments, code = self.last
        versions = observed.versions(self.shop)
        ran = self.run(name, *arguments)
        assert ran is not None
        assert observed.versions(self.shop) == versions, "the same command again committed something"
        assert ran.code == code, (code, ran.code, ran.stderr)
        assert code or ran.result["status"] == "unchanged", ran.result["status"]

    @rule(
        name=st.sampled_from(["run_batch", "run_batch", *PUBLISHING, *INGESTING]),
        at=commits,
        is_after=st.booleans(),
    )
    @whole
    def crash(self, name: str, at: int | str, is_after: bool) -> None:
        """Killed before or after its n-th commit; where it has not so many, it ends well."""
        end = {"after": kill} if is_after else {"before": kill}
        with at_commit(at, **end):
            self.run(name, *self.share())

    @rule(at=commits)
    @whole
    def suspend(self, at: int | str) -> None:
        """Another run takes over while this one sleeps at a commit: it must change nothing any more."""
        seen: list[dict[str, int]] = []

        def take_over() -> None:
            self.note_crash("run_batch", [])
            for _ in range(3):
                silence_lock(self.shop.lake)
                # The holder may renew the lock in between: then it is another's a little later.
                if self.run("run_batch", *self.share(), may_wait=True) is not None:
                    seen.append(observed.versions(self.shop))
                    return
            raise AssertionError("a lock that had been silent for ten minutes was not taken over")

        with at_commit(at, before=take_over):
            ran = self.shop.run(*self.arguments(*self.share()), job=RUN_BATCH)
            type(self).runs_done += 1
        if not seen:
            self.check(ran, "run_batch", list(self.share()), observed.versions(self.shop), before=None)
            return
        assert ran.code == 75, (ran.code, ran.stderr)
        assert observed.versions(self.shop) == seen[0], "a run that had been taken over committed something"
        self.check_kept()

    # Settings

    @precondition(lambda self: self.is_sound())
    @rule(
        kind=st.sampled_from(["late_days", "currencies", "ranges", "zone"]),
        flag=st.sampled_from(["", "--reingest", "--from-now-on"]),
    )
    @whole
    def change_settings(self, kind: str, flag: str) -> None:
        now = self.reference.settings
        then = replace(now, **{kind: OTHERS[kind](getattr(now, kind))})
        if kind == "ranges" and flag:
            flag = "--republish"
        refused = "" if flag and (kind, flag) != ("zone", "--from-now-on") else flag or "none"
        if refused:
            self.refuse_settings(then, *([flag] if flag else []))
        elif flag != "--reingest" or self.can_reingest(then):
            self.apply_settings(then, flag)

    def refuse_settings(self, then: Settings, *flags: str) -> None:
        versions = observed.versions(self.shop)
        ran = self.shop.run(*then.arguments(), *self.share(), *flags)
        type(self).runs_done += 1
        assert ran.code == 2, (ran.code, ran.stderr)
        assert observed.versions(self.shop) == versions
        self.check_kept()

    def can_reingest(self, then: Settings) -> bool:
        """Whether every drop is accepted under other settings: else it would keep lines of the old ones."""
        return all(judge(drop, landed, then).status == ACCEPTED for drop, landed in self.landed.items())

    def apply_settings(self, then: Settings, flag: str) -> None:
        self.reference.settings = then
        if flag == "--reingest":
            self.reference.accepted = {}
        ran = self.run("run_batch", *self.share(), flag)
        assert ran is not None
        assert ran.code == 0, (ran.code, ran.stderr)
        self.state.mixed = flag == "--from-now-on" or (self.state.mixed and flag != "--reingest")
        self.state.restorable.clear()
        self.last = None

    @precondition(lambda self: self.is_sound() and self.is_ingested())
    @rule()
    @whole
    def replay(self) -> None:
        found = {
            drop: judge(drop, self.landed[drop], self.reference.settings)
            for drop, delivery in self.reference.accepted.items()
            if delivery.rejected_for_currency
        }
        if any(judged.status != ACCEPTED for judged in found.values()):
            return
        for drop, judged in found.items():
            self.reference.take(drop, judged)
        ran = self.run("replay_quarantine", "--reason", "currency_not_allowed", *self.share())
        assert ran is not None
        assert ran.code == 0, (ran.code, ran.stderr)
        self.last = None

    # Revisions, maintenance, backups

    @precondition(lambda self: not self.state.crashed and self.earlier_revisions())
    @rule(
        number=st.integers(0, 7),
        at=st.one_of(st.none(), st.none(), st.integers(2, 10)),
        is_after=st.booleans(),
    )
    @whole
    def restore(self, number: int, at: int | None, is_after: bool) -> None:
        earlier = self.earlier_revisions()
        date, revision = earlier[number % len(earlier)]
        then = self.state.history[date, revision]
        arguments = ["--date", str(date), "--revision", str(revision)]
        end = {"after": kill} if is_after else {"before": kill}
        try:
            with at_commit(at or 0, **end):
                versions = observed.versions(self.shop)
                ran = self.shop.run(*self.arguments(*arguments), job=RESTORE_SALES)
        except Killed:
            self.state.crashed = True
            self.state.before[date] = [*self.old(date), then]
            self.state.maybe_restored[date] = [*self.state.maybe_restored.get(date, ()), then]
            self.last = None
            return
        finally:
            type(self).runs_done += 1
        assert ran.code in {0, 2, 4, 5}, (ran.code, ran.stderr)
        if ran.code:
            assert not self.must_restore(date, revision), ran.stderr
            assert observed.versions(self.shop) == versions, "a refused restore committed something"
        else:
            stale = self.stale_dates()
            assert date not in stale, f"{date} is stale: to restore it would lose a line"
            self.state.before[date] = [then]
            self.reference.restore(date, then)
        self.last = None
        self.check_kept()
        if not ran.code:
            self.note_gold({date})

    @rule()
    @precondition(lambda self: self.reference.accepted and not self.state.crashed)
    @whole
    def maintain(self) -> None:
        ran = self.shop.run(*self.arguments("--retain-hours", "0"), job=MAINTAIN_TABLES)
        type(self).runs_done += 1
        assert ran.code in {0, 2}, (ran.code, ran.stderr)
        self.state.restorable.clear()
        self.check_kept()

    @precondition(lambda self: self.shop.lake.exists() and not self.state.crashed)
    @rule()
    @whole
    def take_backup(self) -> None:
        target = self.shop.folder / "backup"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.shop.lake, target)
        self.backup = copy.deepcopy(self.state)

    @precondition(lambda self: self.backup is not None)
    @rule()
    @whole
    def put_backup_back(self) -> None:
        assert self.backup is not None
        shutil.rmtree(self.shop.lake)
        shutil.copytree(self.shop.folder / "backup", self.shop.lake)
        self.forget_tables()
        self.state = copy.deepcopy(self.backup)
        self.last = None

    @precondition(lambda self: self.reference.accepted and not self.state.crashed)
    @rule()
    @whole
    def verify(self) -> None:
        ran = self.shop.run(*self.arguments(*self.share()), job=VERIFY_SALES)
        type(self).runs_done += 1
        is_all_there = not self.stale_dates() and not self.unbuilt_dates() and not self.reference.restored
        if is_all_there and not self.trouble():
            assert ran.code == 0, (ran.code, ran.stderr)
        else:
            allowed = {0, 4, 5}
            if self.stale_dates() & {date for date, found in self.content().items() if found.sales}:
                allowed = {4, 5}
            assert ran.code in allowed, (ran.code, ran.stderr)
        self.check_kept()

    # What a run does, and what it must come to

    def share(self, strict: bool = False) -> list[str]:
        return ["--set", f"audit.max_conflict_share={0.01 if strict else 1}"]

    def arguments(self, *more: str) -> list[str]:
        return [*self.reference.settings.arguments(), *more]

    def run(self, name: str, *arguments: str, may_wait: bool = False) -> Ran | None:
        """Runs a job to its end and checks the laws; None where it was killed (or had to wait and may)."""
        job: Job = REPLAY_QUARANTINE if name == "replay_quarantine" else JOBS[name]
        versions, before = observed.versions(self.shop), observed.content(self.shop)
        try:
            ran = self.shop.run(*self.arguments(*arguments), job=job)
        except Killed:
            self.note_crash(name, list(arguments))
            return None
        finally:
            type(self).runs_done += 1
        if may_wait and ran.code == 75:
            return None
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
        asked = self.asked_drops(name, arguments)
        assert ran.code in ENDED, (ran.code, ran.stderr)
        for drop in asked:
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
        self.check_codes(ran, name, arguments, asked, stale)
        changed_dates = {date for date in after if after[date] not in self.old(date)}
        self.check_losers(after)
        self.check_gold(ran, name, after)
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
        self, ran: Ran, name: str, arguments: list[str], asked: list[Date], stale: set[Date]
    ) -> None:
        """Law 7."""
        must = {CODE_OF[self.reference.status[drop]] for drop in asked if drop in self.trouble()}
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
        own = {"ingest_sales": "bronze/", "publish_sales": "silver/"}.get(name, "gold/")
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
        for date, (revision, _) in observed.revisions(self.shop).items():
            self.state.history.setdefault((date, revision), self.content().get(date, NOTHING))

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
            edges.add((("drop", drop), ("date", drop)))
        for date, contents in self.state.before.items():
            for found in contents:
                keys = {*published_keys(found), *left_out_keys(found)}
                edges |= {(("date", date), ("sold", key[3])) for key in keys}
                edges |= {(("drop", row[-3]), ("date", date)) for row in found.sales if row[-3] in troubled}
        return edges

    def is_alone(self, asked: Date, date: Date) -> bool:
        """Whether the date asked for is bound to no other: then nothing hinders it."""
        if asked != date:
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

    # The end

    def teardown(self) -> None:
        if not self.failed and self.landed:
            self.failed = True
            self.steps.append("state.teardown()")
            try:
                self.finish()
            except Exception as error:
                error.add_note("steps:\n" + "\n".join(self.steps))
                raise
        shutil.rmtree(self.shop.folder, ignore_errors=True)

    def finish(self) -> None:
        """With good files for all that was in trouble, the lake is what one run of the same makes of it."""
        troubled = self.trouble().keys() | self.state.uncertain
        for drop in sorted(troubled | self.landed.keys()):
            judged = judge(drop, self.landed[drop], self.reference.settings)
            if judged.status != ACCEPTED:
                self.land(drop, {"a.csv": (sold(0, 1, "1042", 0),)}, "good")
        ran = self.run("run_batch", *self.share())
        assert ran is not None
        assert ran.code == 0, (ran.code, ran.stderr)
        if self.reference.restored:
            return
        assert not self.stale_dates()
        ran = self.shop.run(*self.arguments(*self.share()), job=VERIFY_SALES)
        type(self).runs_done += 1
        assert ran.code == 0, (ran.code, ran.stderr)
        if not self.state.mixed and self.is_ingested():
            self.check_fresh()

    def check_fresh(self) -> None:
        fresh = self.shop.other("fresh")
        ran = fresh.run(*self.arguments(*self.share()))
        type(self).runs_done += 1
        assert ran.code == 0, (ran.code, ran.stderr)
        assert not_empty(observed.content(fresh)) == not_empty(observed.content(self.shop))
        assert without_revisions(observed.gold(fresh)) == without_revisions(observed.gold(self.shop))
        assert observed.bronze(fresh) == observed.bronze(self.shop)


OTHERS: dict[str, Callable[[Any], Any]] = {
    "late_days": lambda days: 30 if days == 7 else 7,
    "currencies": lambda found: ("USD", "EUR") if found == ("USD",) else ("USD",),
    "ranges": lambda found: ("A-M", "N-Z") if len(found) == 4 else ("A-G", "H-N", "O-U", "V-Z"),
    "zone": lambda zone: "UTC" if zone != "UTC" else "America/New_York",
}


def changed(lines: list[Sale], change: str) -> tuple[Sale, ...]:
    if change == "without first":
        return tuple(lines[1:])
    if change == "without last":
        return tuple(lines[:-1])
    if change == "payload":
        return tuple(replace(sale, gross_amount=f"{sale.gross_amount[:-1]}5") for sale in lines)
    if change == "moved":
        days = {sale: dt.timedelta(1 if sale.moment.day in (2, 3) else -1) for sale in lines}
        return tuple(replace(sale, sold_at=(sale.moment + days[sale]).isoformat()) for sale in lines)
    return tuple(lines)


def write_drop(shop: Shop, drop: Date, landed: Landed) -> None:
    """Puts a delivery in the place of the one before."""
    folder = drop_folder(shop.landing, drop)
    for path in folder.iterdir():
        path.unlink()
    for name, found in landed.files.items():
        text = csv_text(line(**sale.fields()) for sale in found)
        if landed.kind == "header":
            text = text.replace("currency", "money", 1)
        (folder / name).write_text(text, encoding="utf-8")
    counts = [{"name": name, "rows": len(found)} for name, found in landed.files.items()]
    if landed.kind == "manifest":
        shop.manifest(str(drop), {**counts[0], "rows": counts[0]["rows"] + 1}, *counts[1:])
    elif landed.kind == "closed":
        shop.manifest(str(drop), closed=True)
    elif landed.kind == "gzip":
        whole_file = gzip.compress(csv_text(line(f"G-{n * n}") for n in range(300)).encode(), mtime=0)
        (folder / "z.csv.gz").write_bytes(whole_file[: len(whole_file) // 2])
    elif landed.kind == "empty":
        (folder / "z.csv").write_bytes(b"")


def gold_of(content: Content) -> tuple[observed.Gold, observed.Gold]:
    daily = totals(content, "store_id", "currency")
    bills = totals(content, "customer_id", "currency")
    return (
        {(store, "Fruit", currency): tuple(vars(sums).values()) for (store, currency), sums in daily.items()},
        {grain: tuple(vars(sums).values()) for grain, sums in bills.items()},
    )


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
