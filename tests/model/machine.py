"""A shop to which anything happens in any order, held against the reference after each run."""

from __future__ import annotations

import copy
import datetime as dt
import functools
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from jobs.maintain_tables import JOB as MAINTAIN_TABLES
from jobs.restore_sales import JOB as RESTORE_SALES
from jobs.run_batch import JOB as RUN_BATCH
from jobs.verify_sales import JOB as VERIFY_SALES
from tests.model import observed
from tests.model.books import CODE_OF, INGESTING, PUBLISHING, STAGES, Books, not_empty, without_revisions
from tests.model.deliveries import (
    BAD,
    FIRST,
    GOOD,
    changed,
    commits,
    distinct,
    drops,
    lines_of_file,
    sold,
    write_drop,
)
from tests.model.reference import (
    ACCEPTED,
    Landed,
    Sale,
    Settings,
    judge,
)
from tests.model.trouble import Killed, at_commit, kill
from tests.support.suspended import no_heartbeat, silence_lock

Date = dt.date


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


class SalesMachine(Books):
    """The events of a shop; each rule is one."""

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
            silence_lock(self.shop.lake)
            self.run("run_batch", *self.share())
            seen.append(observed.versions(self.shop))

        with at_commit(at, before=take_over), no_heartbeat():
            ran = self.shop.run(*self.arguments(*self.share()), job=RUN_BATCH)
            type(self).runs_done += 1
        if not seen:
            self.check(ran, "run_batch", list(self.share()), observed.versions(self.shop), before=None)
            return
        # Where a drop is not ready, too, that code comes first.
        not_ready = {5} & {CODE_OF[status] for status in self.trouble().values()}
        assert ran.code in {75} | not_ready, (ran.code, ran.stderr)
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

    # The end

    def teardown(self) -> None:
        if not self.failed and self.landed:
            self.failed = True
            self.steps.append("state.teardown()")
            try:
                self.publish_and_build()
            except Exception as error:
                error.add_note("steps:\n" + "\n".join(self.steps))
                raise
        shutil.rmtree(self.shop.folder, ignore_errors=True)

    def publish_and_build(self) -> None:
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
        assert observed.weekly(fresh) == observed.weekly(self.shop)
        assert observed.bronze(fresh) == observed.bronze(self.shop)


OTHERS: dict[str, Callable[[Any], Any]] = {
    "late_days": lambda days: 30 if days == 7 else 7,
    "currencies": lambda found: ("USD", "EUR") if found == ("USD",) else ("USD",),
    "ranges": lambda found: ("A-M", "N-Z") if len(found) == 4 else ("A-G", "H-N", "O-U", "V-Z"),
    "zone": lambda zone: "UTC" if zone != "UTC" else "America/New_York",
}
