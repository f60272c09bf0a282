"""Check of a config: what it declares, what it would make stale on the lake, and what that costs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.lake.conditions import check_rules
from pipeline.planning.pinned import CHUNK_SETTINGS, PinnedSettings, describe_differences, differing
from pipeline.planning.timetable import estimated_seconds
from pipeline.steps.context import Batch, DateRange
from pipeline.steps.gold import check_declared, stale_revisions
from pipeline.steps.own_contract import contract_in_force, held_columns
from pipeline.steps.recovery import wanted_settings
from schemas.errors import OlderLakeError, UsageError
from schemas.gold import GoldTable
from schemas.states import ExitCode, Stage


@dataclass(frozen=True)
class ConfigFinding:
    """What a part of the config means for the lake.

    Attributes:
        check: the part, for example ``gold.weekly_products``.
        state: ``ok``: nothing to do; ``stale``: the next run does the work; ``changed``: a command must say
            what to do; ``problem``: no run accepts the config.
        said: what it is, and what is to be done.
        dates: business dates, or drops, to work on again.
        lines: their lines.
        seconds: what that takes, as in earlier runs; None if no earlier run is known.
    """

    check: str
    state: str
    said: str
    dates: int = 0
    lines: int = 0
    seconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The finding in the result."""
        return asdict(self)


def check_config(batch: Batch) -> list[ConfigFinding]:
    """Checks the config against the lake, and changes nothing. A problem fails the run with 2.

    Form, names and SQL were checked before: the config was read, and the SQL of gold tables analysed.

    Raises:
        UsageError: the condition of a rule is not valid, or the lake cannot be read.
    """
    check_rules(batch.spark, batch.settings.own_rules)
    findings = [*_contract(batch), *_pinned(batch)]
    findings += [_gold(batch, table) for table in batch.lake.tables.gold]
    for finding in findings:
        if finding.state == "problem":
            batch.outcome.fail(ExitCode.USAGE, f"{finding.check}: {finding.said}")
    return findings


def _contract(batch: Batch) -> list[ConfigFinding]:
    """Whether the lake's tables fit the config."""
    columns = sorted(batch.settings.contract.columns)
    said = f"{len(columns)} own columns: {', '.join(columns)}" if columns else "no own columns"
    findings = []
    try:
        contract_in_force(batch.settings, batch.ledger, must_be_declared=True)
        batch.lake.check_schemas()
        findings.append(ConfigFinding("contract.columns", "ok", said))
    except OlderLakeError as error:
        findings.append(ConfigFinding("contract.columns", "changed", str(error)))
    except UsageError as error:
        findings.append(ConfigFinding("contract.columns", "problem", str(error)))
    try:
        check_declared(batch)
    except UsageError as error:
        findings.append(ConfigFinding("gold", "problem", str(error)))
    return findings


def _pinned(batch: Batch) -> list[ConfigFinding]:
    """Changed settings that decide content, and what it costs to apply each kind to what is there."""
    kept = batch.ledger.settings()
    rules = len(batch.settings.own_rules)
    if kept is None:
        return [ConfigFinding("settings", "ok", f"the lake has no settings yet; {rules} own rules")]
    pinned = kept.current.values
    changed = differing(pinned, wanted_settings(batch, kept))
    if not changed:
        return [ConfigFinding("settings", "ok", f"as in the lake; {rules} own rules")]
    of_chunks = [name for name in changed if name in CHUNK_SETTINGS]
    of_lines = [name for name in changed if name not in CHUNK_SETTINGS and not _only_adds(name, kept, batch)]
    return [
        *_cost(batch, kept, of_lines, "--reingest", (Stage.INGEST, Stage.PUBLISH)),
        *_cost(batch, kept, of_chunks, "--republish", (Stage.PUBLISH,)),
    ]


def _only_adds(name: str, kept: PinnedSettings, batch: Batch) -> bool:
    """Whether a change adds columns and no more: they are migrated, and an earlier line holds null."""
    held = held_columns(kept)
    return name == "contract.columns" and held.items() <= batch.settings.contract.columns.items()


def _cost(
    batch: Batch, kept: PinnedSettings, names: Sequence[str], flag: str, stages: Iterable[Stage]
) -> list[ConfigFinding]:
    if not names:
        return []
    wanted = wanted_settings(batch, kept)
    described = describe_differences(kept.current.values, wanted, names).partition(": ")[2]
    accepted = [drop for drop in batch.ledger.drops().values() if drop.accepted is not None]
    lines = sum(drop.lines for drop in accepted)
    seconds = [_seconds(batch, stage, lines) for stage in stages]
    known = [second for second in seconds if second is not None]
    total = sum(known) if len(known) == len(seconds) else None
    said = f"{described}; {flag} applies it to all drops, --from-now-on to later ones"
    return [ConfigFinding(", ".join(names), "changed", said, len(accepted), lines, total)]


def _gold(batch: Batch, table: GoldTable) -> ConfigFinding:
    origin = "of the config" if table.is_declared else "built-in"
    key = ", ".join((table.period_column, *table.grain))
    said = f"{origin}, one row: {key}; from {', '.join(table.sources)}"
    check = f"gold.{table.view}"
    stale = stale_revisions(batch, table, DateRange())
    if not stale:
        return ConfigFinding(check, "ok", said)
    lines = _lines_of(batch, stale)
    return ConfigFinding(check, "stale", said, len(stale), lines, _seconds(batch, table.stage, lines))


def _lines_of(batch: Batch, dates: Iterable[dt.date]) -> int:
    """Accepted lines of some business dates."""
    wanted = set(dates)
    drops = [drop.accepted for drop in batch.ledger.drops().values() if drop.accepted is not None]
    return sum(c.lines for drop in drops for c in drop.content if c.business_date in wanted)


def _seconds(batch: Batch, stage: Stage, lines: int) -> float | None:
    seconds = estimated_seconds(batch.ledger.stages().get(stage, []), lines)
    return None if seconds is None else round(seconds, 1)
