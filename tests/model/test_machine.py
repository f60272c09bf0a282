"""The machine against a shop of plain Python: it bears one that keeps the laws, and finds faults of others.

A find must be a fault of the product, not of the machine's own books: thousands of steps show that here in a
minute, without Spark.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from jobs.run_batch import JOB as RUN_BATCH
from pipeline.lake.tables import Lake
from schemas.errors import TryAgainError
from tests.jobs.shop import Ran
from tests.model import observed
from tests.model.books import Contents, date_of, first_code, gold_of, is_strict, weekly_of
from tests.model.deliveries import DROPS, sold
from tests.model.machine import SalesMachine
from tests.model.reference import (
    ACCEPTED,
    FAILED,
    NOT_READY,
    NOTHING,
    REFUSED,
    Judged,
    Reference,
    Settings,
    judge,
)
from tests.model.reference import left_out_keys as left_out
from tests.model.reference import published_keys as published
from tests.support.landing import write_manifest

CODES = {REFUSED: 4, FAILED: 4, NOT_READY: 5, ACCEPTED: 0}
LANDED: dict[Path, dict[Any, Any]] = {}


@dataclass
class Tables:
    """A lake's content, with a version of each layer."""

    reference: Reference | None = None
    silver: Contents = field(default_factory=dict)
    gold: list[dict[Any, Any]] = field(default_factory=lambda: [{}, {}])
    weekly: dict[Any, Any] = field(default_factory=dict)
    papers: dict[str, observed.Paper] = field(default_factory=dict)
    revisions: dict[Any, int] = field(default_factory=dict)
    history: dict[Any, Any] = field(default_factory=dict)
    versions: Counter[str] = field(default_factory=Counter)


class PlainShop:
    """As :class:`tests.jobs.shop.Shop`; the faults are by name."""

    def __init__(self, folder: Path, faults: frozenset[str]) -> None:
        self.folder, self.faults, self.lake = folder, faults, folder / "lake"
        self.landing = folder / "landing"
        self.landing.mkdir(parents=True, exist_ok=True)

    def other(self, name: str) -> PlainShop:
        shop = PlainShop(self.folder, self.faults)
        shop.lake = self.folder / name
        return shop

    def manifest(self, drop_date: str, *files: Any, closed: bool | None = None) -> Path:
        return write_manifest(self.landing, drop_date, files, closed)

    @property
    def tables(self) -> Tables:
        path = self.lake / "tables.pickle"
        found: Tables = pickle.loads(path.read_bytes()) if path.exists() else Tables()
        return found

    def run(self, *arguments: str, job: Any = RUN_BATCH) -> Ran:
        code, versions = 1, self.tables.versions
        with contextlib.suppress(TryAgainError):
            code = PlainRun(self, job.name, list(arguments)).execute()
            return Ran(code, self._result(versions), "", "")
        return Ran(75, {}, "", "")

    def _result(self, versions: Counter[str]) -> dict[str, Any]:
        return {"status": "unchanged" if versions == self.tables.versions else "done"}


class PlainRun:
    """One run of a job that keeps the laws, but for its faults."""

    def __init__(self, shop: PlainShop, name: str, arguments: list[str]) -> None:
        self.shop, self.name, self.arguments = shop, name, arguments
        self.tables = shop.tables
        self.run_id = str(time.monotonic_ns())
        self.lock = shop.lake / "ledger" / "_running" / "lock.1"

    def execute(self) -> int:
        self.lock.parent.mkdir(parents=True, exist_ok=True)
        is_silent = self.lock.exists() and time.time() - self.lock.stat().st_mtime > 120
        if self.lock.exists() and self.lock.read_text() and not is_silent:
            raise TryAgainError("at work")
        self.lock.write_text(self.run_id)
        try:
            return self.work()
        finally:
            if self.lock.read_text() == self.run_id:
                self.lock.write_text("")

    def work(self) -> int:
        if self.name == "verify_sales":
            return 4 if self.stale() else 0
        if self.name == "maintain_tables":
            return 0
        wanted = settings_of(self.arguments)
        reference = self.tables.reference or Reference(settings=wanted)
        flags = {"--reingest", "--republish", "--from-now-on"} & set(self.arguments)
        if wanted != reference.settings and self.is_refused(reference.settings, wanted, flags):
            return 2
        reference.settings = wanted
        self.tables.reference = reference
        self.commit("ledger/runs")
        if self.name == "restore_sales":
            return self.restore()
        return self.run_stages("--reingest" in flags)

    def is_refused(self, pinned: Settings, wanted: Settings, flags: set[str]) -> bool:
        if "pins" in self.shop.faults:
            return False
        return not flags or ("--from-now-on" in flags and wanted.zone != pinned.zone)

    def run_stages(self, again: bool) -> int:
        codes, is_whole = {0}, self.name in ("run_batch", "replay_quarantine")
        if is_whole or self.name == "ingest_sales":
            codes |= self.ingest(again)
        if is_whole or self.name == "publish_sales":
            codes |= self.publish()
        for position, name in enumerate(("build_daily_sales", "bill_customers")):
            if is_whole or self.name == name:
                self.build(position)
        if self.name == "run_batch":
            self.issue()
        self.commit("ledger/runs")
        return first_code(codes)

    def commit(self, table: str, layer: str = "") -> None:
        def save() -> None:
            if layer:
                self.tables.versions[layer] += 1
            self.shop.lake.mkdir(exist_ok=True)
            (self.shop.lake / "tables.pickle").write_bytes(pickle.dumps(self.tables))

        Lake._guarded(SimpleNamespace(_before_commit=self.check_lock), save, SimpleNamespace(name=table))

    def check_lock(self) -> None:
        if self.lock.read_text() != self.run_id and "lock" not in self.shop.faults:
            raise TryAgainError("taken over")

    def ingest(self, again: bool) -> set[int]:
        reference, codes, before = self.tables.reference, {0}, pickle.dumps(self.tables.reference.accepted)
        only = date_of(self.arguments)
        for drop, landed in sorted(LANDED[self.shop.folder].items()):
            held = reference.accepted.get(drop)
            is_replayed = self.name == "replay_quarantine" and held is not None and held.rejected_for_currency
            if only not in (None, drop) or (self.name == "replay_quarantine" and not is_replayed):
                continue
            if held is not None and held.number == landed.number and not again and not is_replayed:
                reference.take(drop, Judged(ACCEPTED, held))
                continue
            judged = judge(drop, landed, reference.settings)
            reference.take(drop, judged)
            codes.add(CODES[judged.status])
            if judged.status == REFUSED and "refused lines" in self.shop.faults:
                reference.accepted[drop] = judged.delivery
        if pickle.dumps(reference.accepted) != before:
            self.commit("bronze/received_sales", "bronze/received_sales")
        return codes

    def wanted(self) -> Contents:
        reference = self.tables.reference
        found = reference.expected()
        for date, restored in reference.restored.items():
            if reference.standing(date)[0]:
                found[date] = restored.content
        return found

    def stale(self) -> set[Any]:
        wanted, silver = self.wanted(), self.tables.silver
        return {
            date
            for date in wanted.keys() | silver.keys()
            if wanted.get(date, NOTHING) != silver.get(date, NOTHING)
        }

    def publish(self) -> set[int]:
        reference, stale = self.tables.reference, self.stale()
        trouble = {drop for drop, status in reference.status.items() if status != ACCEPTED}
        over = {date for date in stale if is_strict(self.arguments) and self.has_conflict(date)}
        requested = date_of(self.arguments) if self.name == "publish_sales" else None
        due, held = set(), set()
        for bound in self.components(trouble):
            is_held = any(("drop", drop) in bound for drop in trouble) or any(
                ("date", date) in bound for date in over
            )
            dates = {date for kind, date in bound if kind == "date"} & stale
            if is_held and "dependents" in self.shop.faults:
                is_held, dates = False, {date for date in dates if date not in trouble | over}
            if requested is None or ("date", requested) in bound:
                (held if is_held else due).update(dates)
        if "alone" in self.shop.faults and requested is not None:
            due &= {requested}
        if due:
            for date in due:
                self.tables.silver[date] = self.wanted().get(date, NOTHING)
                self.note_revision(date)
            self.commit("silver/sales", "silver/sales")
        return {4} if held else {0}

    def has_conflict(self, date: Any) -> bool:
        return any(row[-2] != "late_duplicate" for row in self.wanted().get(date, NOTHING).conflicts)

    def note_revision(self, date: Any) -> None:
        self.tables.revisions[date] = self.tables.revisions.get(date, 0) + 1
        self.tables.history[date, self.tables.revisions[date]] = self.tables.silver[date]
        reference = self.tables.reference
        if date in reference.restored and reference.restored[date].content != self.tables.silver[date]:
            del reference.restored[date]

    def components(self, trouble: set[Any]) -> list[set[Any]]:
        reference = self.tables.reference
        groups: list[set[Any]] = []
        pairs: list[tuple[Any, ...]] = [(("drop", drop), ("date", drop)) for drop in trouble]
        for delivery in (*reference.accepted.values(), *reference.refused.values()):
            for line in delivery.lines:
                extra = [("drop", line.drop_date)] if line.drop_date in trouble else []
                pairs.append((("date", line.business_date), ("sold", line.sale_date), *extra))
        for date, found in self.tables.silver.items():
            pairs.append(
                (("date", date), *(("sold", key[3]) for key in (*published(found), *left_out(found))))
            )
        for pair in pairs:
            joined = set(pair).union(*[group for group in groups if group & set(pair)])
            groups = [group for group in groups if not group & set(pair)] + [joined]
        return groups

    def build(self, position: int) -> None:
        before = pickle.dumps(self.tables.gold)
        for date, found in self.tables.silver.items():
            revision = self.tables.revisions[date]
            sums = {grain: (*one, revision) for grain, one in gold_of(found)[position].items()}
            if self.tables.gold[position].get(date, {}) != sums:
                self.tables.gold[position][date] = sums
        if pickle.dumps(self.tables.gold) != before:
            name = ("gold/daily_sales", "gold/invoices")[position]
            self.commit(name, name)
        if position == 0:
            self.build_weeks()

    def issue(self) -> None:
        before = dict(self.tables.papers)
        for date in sorted(self.tables.silver.keys() | {paper.date for paper in before.values()}):
            self.issue_date(date, gold_of(self.tables.silver.get(date, NOTHING))[1])
        if self.tables.papers != before:
            self.commit("billing/documents", "billing/documents")

    def issue_date(self, date: Any, owed: dict[Any, Any]) -> None:
        papers = self.tables.papers
        of_date = {number: paper for number, paper in papers.items() if paper.date == date}
        for grain in sorted(owed.keys() | {paper.grain for paper in of_date.values()}):
            there = {number: paper for number, paper in of_date.items() if paper.grain == grain}
            sums = owed.get(grain, (0,) * len(observed.SUMS))
            if "replaced papers" in self.shop.faults and there:
                number, paper = next(iter(there.items()))
                papers[number] = replace(paper, sums=sums)
                continue
            for paper in there.values():
                sums = tuple(one - other for one, other in zip(sums, paper.sums, strict=True))
            if any(sums):
                series = "C" if there else "N"
                count = sum(paper.series == series for paper in papers.values()) + 1
                if "gaps" in self.shop.faults and there:
                    count += 1
                kind, to = ("credit_note", next(iter(there))) if there else ("invoice", None)
                papers[f"{series}{count}"] = observed.Paper(series, count, kind, date, grain, to, sums)

    def build_weeks(self) -> None:
        weekly = weekly_of(self.tables.silver)
        if "weeks" in self.shop.faults:
            weekly = {**weekly, **self.tables.weekly}
        if weekly != self.tables.weekly:
            self.tables.weekly = weekly
            self.commit("gold/weekly_product_sales", "gold/weekly_product_sales")

    def restore(self) -> int:
        date = date_of(self.arguments)
        then = self.tables.history.get((date, int(self.arguments[-1])))
        others = [found for other, found in self.tables.silver.items() if other != date]
        keys = {key for found in others for key in (*published(found), *left_out(found))}
        contents = (then, self.tables.silver.get(date, NOTHING))
        touched = {key for found in contents if found for key in (*published(found), *left_out(found))}
        if then is None or self.stale() or keys & touched:
            return 2
        self.tables.silver[date] = then
        self.tables.reference.restored.pop(date, None)
        self.note_revision(date)
        self.tables.reference.restore(date, then)
        self.commit("silver/sales", "silver/sales")
        self.build(0)
        self.build(1)
        return 0


def settings_of(arguments: list[str]) -> Settings:
    sets = dict(one.split("=", 1) for name, one in itertools.pairwise(arguments) if name == "--set")
    lists = {name: tuple(sets[name].strip("[]").split(", ")) for name in ("currencies", "chunks.ranges")}
    return Settings(
        int(sets["late.days"]), sets["business_day.timezone"], lists["currencies"], lists["chunks.ranges"]
    )


class PlainMachine(SalesMachine):
    """The machine over a plain shop."""

    faults: frozenset[str] = frozenset()

    def open_shop(self, folder: Path) -> Any:
        return PlainShop(folder, self.faults)

    def forget_tables(self) -> None:
        pass

    def __init__(self) -> None:
        super().__init__()
        LANDED[self.shop.folder] = self.landed


@pytest.fixture(autouse=True)
def plain_tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def accepted(shop: PlainShop) -> list[Any]:
        reference = shop.tables.reference
        return list(reference.lines()) if reference is not None else []

    def gold(shop: PlainShop) -> Any:
        daily, bills = shop.tables.gold
        return {date: (daily.get(date, {}), bills.get(date, {})) for date in daily.keys() | bills.keys()}

    def balance(shop: PlainShop) -> Any:
        found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        shares = ("received", "published", "duplicates", "conflicts")
        for line in accepted(shop):
            row = {f"{prefix}{share}": 0 for prefix in ("", "gross_", "absolute_gross_") for share in shares}
            found["run", line.business_date].append({**row, "received": 1, "published": 1})
        return found

    monkeypatch.setattr(observed, "content", lambda shop: shop.tables.silver)
    monkeypatch.setattr(observed, "gold", gold)
    monkeypatch.setattr(observed, "weekly", lambda shop: shop.tables.weekly)
    monkeypatch.setattr(observed, "bronze", lambda shop: Counter(map(observed.as_bronze, accepted(shop))))
    monkeypatch.setattr(
        observed,
        "revisions",
        lambda shop: {date: (one, "run") for date, one in shop.tables.revisions.items()},
    )
    monkeypatch.setattr(observed, "balance", balance)
    monkeypatch.setattr(observed, "papers", lambda shop: dict(shop.tables.papers))
    monkeypatch.setattr(
        observed,
        "paper_lines",
        lambda shop: {number: paper.sums for number, paper in shop.tables.papers.items()},
    )
    monkeypatch.setattr(observed, "versions", lambda shop: dict(shop.tables.versions))
    yield
    LANDED.clear()


def search(folder: Path, sequences: int, *faults: str) -> type[PlainMachine]:
    machine = type("PlainMachine", (PlainMachine,), {"folder": folder, "faults": frozenset(faults)})
    run_state_machine_as_test(
        seed(int(os.environ.get("CYMBAL_MODEL_SEED", "1")))(machine),
        settings=settings(
            max_examples=sequences,
            stateful_step_count=30,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )
    return machine


def test_a_shop_that_keeps_the_laws_is_borne(tmp_path: Path) -> None:
    sequences = int(os.environ.get("CYMBAL_PLAIN_SEQUENCES", "60"))
    machine = search(tmp_path, sequences)
    assert machine.runs_done > 10 * sequences / 2


@pytest.mark.parametrize(
    "fault", ["refused lines", "pins", "lock", "dependents", "weeks", "replaced papers", "gaps"]
)
def test_a_fault_is_found(tmp_path: Path, fault: str) -> None:
    with pytest.raises(AssertionError):
        search(tmp_path, 1000, fault)


def test_a_date_published_without_one_that_it_decides_is_found(tmp_path: Path) -> None:
    machine = type("PlainMachine", (PlainMachine,), {"folder": tmp_path, "faults": frozenset({"alone"})})()
    machine.deliver(drop=DROPS[0], first=[sold(0, 1, "1042", 0), sold(0, 2, "1042", 0)], second=[])
    machine.deliver(drop=DROPS[3], first=[sold(0, 1, "1042", 0)], second=[])
    machine.run_batch()
    machine.deliver(drop=DROPS[0], first=[sold(0, 2, "1042", 0)], second=[])
    with pytest.raises(AssertionError, match="law 1"):
        machine.publish_a_date(date=DROPS[0], ingests=True)
