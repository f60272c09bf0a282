"""Keeps a static site of all runs: an overview, a page a year, and the page of each run."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pipeline.lake.files import FileStore
from pipeline.planning.attempts import ChunkAttempt
from pipeline.report.pages.collect import collect_run
from pipeline.report.pages.files import page_name
from pipeline.report.pages.lake_history import run_positions
from pipeline.report.pages.render import IS_RUNNING, render_run
from pipeline.report.pages.site_facts import RunLine, SiteFacts, collect_site
from pipeline.report.pages.site_page import render_overview
from pipeline.steps.context import Batch

_LOG = logging.getLogger(__name__)

INDEX, RUNS, STATE = "index.html", "runs", "pages.json"
# The overview shows the dates of the last year; each calendar year has a page of its own.
_DAYS = 366
_MAX_BYTES = 64 << 20

ReadAttempts = Callable[[str, str], Sequence[ChunkAttempt]]


@dataclass(frozen=True)
class Kept:
    """What became of a site: its address, the pages that were rendered, and those that stood already."""

    address: str
    rendered: list[str]
    unchanged: list[str]


def keep_site(batch: Batch, folder: str, read_attempts: ReadAttempts | None = None) -> Kept:
    """Renders the pages of a site that are new or whose runs and dates changed.

    A page that a run wrote itself (``--report FOLDER/runs``) stays: it knows more than the ledger.

    Args:
        batch: the run that reads.
        folder: path or URI of the site; it is made if it does not exist.
        read_attempts: reads attempts from the event log, see ``collect_run``.

    Raises:
        OSError: the file system refuses.
        UsageError: Spark knows no file system for the folder.
    """
    store, facts = FileStore(batch.spark, folder), collect_site(batch)
    pages, positions = _Pages(store, _read_state(store)), run_positions(batch.ledger)
    for number, run in enumerate(facts.runs, start=1):
        name = f"{RUNS}/{page_name(run.run_id)}"
        _LOG.info(f"page {number:,} of {len(facts.runs):,}: {run.run_id}")
        page = partial(_render_run, batch, run.run_id, read_attempts, positions)
        pages.keep(name, _digest_of_run(facts, run), page, adopt=run.exit_code is not None)
    years = sorted({line.date.year for line in facts.dates})
    for year in years:
        part = limited(facts, dt.date(year, 1, 1), dt.date(year, 12, 31))
        pages.keep(f"{year}.html", _digest((part, years)), partial(render_overview, part, str(year), years))
    latest = _latest(facts)
    pages.keep(INDEX, _digest((latest, years)), partial(render_overview, latest, None, years))
    store.write_private(STATE, json.dumps(pages.digests, indent=0, sort_keys=True).encode())
    return Kept(store.address(INDEX), pages.rendered, pages.unchanged)


def limited(facts: SiteFacts, first: dt.date, last: dt.date, also: Collection[str] = ()) -> SiteFacts:
    """The facts of some business dates, and of the runs that started in these days or published them.

    Args:
        facts: all facts.
        first: first date.
        last: last date.
        also: ids of further runs.
    """
    dates = [line for line in facts.dates if first <= line.date <= last]
    named = {run_id for line in dates for run_id in line.runs} | set(also)
    runs = [run for run in facts.runs if run.run_id in named or first <= run.started_at.date() <= last]
    kept = {run.run_id for run in runs}
    return replace(
        facts,
        dates=dates,
        runs=runs,
        sales={
            currency: {day: parts for day, parts in days.items() if first <= day <= last}
            for currency, days in facts.sales.items()
        },
        rejected={day: counts for day, counts in facts.rejected.items() if first <= day <= last},
        chunks=[chunk for chunk in facts.chunks if chunk.run_id in kept],
    )


def _render_run(
    batch: Batch, run_id: str, read_attempts: ReadAttempts | None, positions: Mapping[str, int]
) -> str:
    return render_run(collect_run(batch, run_id, read_attempts, positions), index=f"../{INDEX}")


def _latest(facts: SiteFacts) -> SiteFacts:
    if not facts.dates:
        return facts
    last = facts.dates[-1].date
    started = max((run.started_at.date() for run in facts.runs), default=last)
    # The last run belongs to them, whatever its clock said.
    last_run = [run.run_id for run in facts.runs[-1:]]
    return limited(facts, last - dt.timedelta(days=_DAYS - 1), max(last, started), last_run)


class _Pages:
    """The pages of a site, each with the digest of what it shows."""

    def __init__(self, store: FileStore, digests: dict[str, str]) -> None:
        self._store = store
        self.digests = digests
        self.rendered: list[str] = []
        self.unchanged: list[str] = []

    def keep(self, name: str, digest: str, render: Callable[[], str], *, adopt: bool = False) -> None:
        """Renders a page unless it stands already.

        Args:
            name: path below the site.
            digest: digest of what it shows.
            render: renders it.
            adopt: whether a page that another run wrote may stay.
        """
        known = self.digests.get(name)
        stays = known == digest or (known is None and adopt and not self._is_of_running_run(name))
        if stays and self._store.exists(name):
            self.unchanged.append(name)
        else:
            self._store.write_private(name, render().encode())
            self.rendered.append(name)
        self.digests[name] = digest

    def _is_of_running_run(self, name: str) -> bool:
        """Whether a page was made while its run was at work."""
        try:
            return IS_RUNNING.encode() in _read(self._store, name)
        except OSError:  # there is none
            return False


def _digest_of_run(facts: SiteFacts, run: RunLine) -> str:
    """A run that recorded no end is told differently once another run followed or finished it."""
    if run.exit_code is not None:
        return _digest(run)
    after = facts.runs.index(run) + 1
    return _digest((run, facts.runs[after : after + 1]))


def _digest(facts: object) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _read_state(store: FileStore) -> dict[str, str]:
    """Digests by page; empty if there is no site yet, or its file is damaged: then all pages are new."""
    try:
        content = json.loads(_read(store, STATE)) if store.exists(STATE) else {}
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _read(store: FileStore, name: str) -> bytes:
    return store.read(f"{store.root.rstrip('/')}/{name}", _MAX_BYTES)
