"""The runs of a lake in the order in which they held it, from the ledger."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Mapping
from typing import Any

from pipeline.lake.ledger import Ledger
from pipeline.planning.run_order import order_runs
from pipeline.report.pages.command_lines import does_all_of
from schemas.states import ExitCode
from schemas.tables import LEDGER_BUILDS, LEDGER_DATES, LEDGER_DROPS, LEDGER_RUNS, LEDGER_SERIES

_NUMBERED = (LEDGER_DROPS, LEDGER_DATES, LEDGER_BUILDS, LEDGER_SERIES)


def run_positions(ledger: Ledger) -> dict[str, int]:
    """Returns the position of every run that the ledger records, in order: the oldest has 0."""
    started: dict[str, dt.datetime] = {}
    for row in ledger.rows(LEDGER_RUNS):
        started[row.run_id] = row.started_at
    numbers = [
        [(row.sequence, row.run_id) for row in ledger.rows(table) if row.sequence is not None]
        for table in _NUMBERED
    ]
    return {run_id: position for position, run_id in enumerate(order_runs(started, numbers))}


def was_finished(ledger: Ledger, positions: Mapping[str, int], event: Any) -> bool:
    """Whether a later run ended well that did all of what a run was asked for.

    Args:
        ledger: ledger of the lake.
        positions: what :func:`run_positions` returned.
        event: row of the run in ``ledger/runs``.
    """
    wanted = split_arguments(event)
    return any(
        row.exit_code == ExitCode.DONE
        and row.job == event.job
        and positions[row.run_id] > positions[event.run_id]
        and does_all_of(split_arguments(row), wanted)
        for row in ledger.rows(LEDGER_RUNS)
    )


def split_arguments(event: Any) -> list[str]:
    """The command line of a run, split into words."""
    arguments = event.arguments or ""
    try:
        return shlex.split(arguments)
    except ValueError:  # a ledger row of version 0.1.0 keeps no quotes
        return str(arguments).split()
