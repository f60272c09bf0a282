"""Puts a team's own columns in force: those of the config, and those that the lake has already."""

from __future__ import annotations

from pipeline.extensions import Contract, OwnColumn, columns_of
from pipeline.lake.ledger import Ledger
from pipeline.planning.pinned import PinnedSettings, value_of
from pipeline.settings import Settings
from schemas.errors import UsageError
from schemas.landing import ReceivedColumn


def contract_in_force(
    settings: Settings, ledger: Ledger, *, must_be_declared: bool
) -> tuple[ReceivedColumn, ...]:
    """Returns the team's own columns of a run.

    A lake keeps a column for ever: its lines hold values, and their hashes cover them.

    Args:
        settings: the config.
        ledger: the lake's ledger.
        must_be_declared: whether the config must declare each column of the lake; if not, the lake's own
            declaration is enough to read it.

    Raises:
        UsageError: the config declares a column of the lake with another kind, or lacks one that it must
            declare.
    """
    held = held_columns(ledger.settings())
    declared = settings.contract.columns
    for name, column in held.items():
        if name in declared and declared[name].kind != column.kind:
            raise UsageError(
                f"contract.columns.{name}.kind is {column.kind} in the lake, {declared[name].kind} in this "
                "run: a column keeps its kind; give the new one another name"
            )
        if name not in declared and must_be_declared:
            raise UsageError(
                f"contract.columns lacks {name}, a column of the lake: give the config of the lake; a column "
                "that files no longer have stays in it with required: false"
            )
    return Contract(columns={**held, **declared}).received


def held_columns(pinned: PinnedSettings | None) -> dict[str, OwnColumn]:
    """Returns the own columns that a lake has, by name; none for a lake without settings."""
    return columns_of(value_of(pinned.current.values, "contract.columns")) if pinned else {}
