"""The landing contract: the columns of a received sales line.

A landed drop is a folder ``drop_date=YYYY-MM-DD`` of CSV, JSON lines, Parquet, or files that a delivery
profile of the config describes. Every field is received as text. RECEIVED_COLUMNS declares each column
of every lake once; a team adds its own with the config key ``contract.columns``. Bronze, silver, rules,
hashes and headers derive from both, through :func:`received_columns`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "text",
    "integer",
    "timestamp",
    "quantity",
    "amount",
    "line_type",
    "currency",
    "boolean",
    "date",
    "decimal",
]


@dataclass(frozen=True)
class ReceivedColumn:
    """One column of the landing contract.

    Attributes:
        name: contract name; a drop may use another name (config key ``columns``).
        kind: decides which texts are valid and which type they are cast to.
        required: whether an empty field rejects the line with ``missing_<name>``.
        valid_form: the valid form in words, for error messages and docs.
        is_payload: whether two lines with the same key conflict if this column differs.
        added_in: SCHEMA_VERSION that added the column. Lines received earlier hold null.
        precision: number of digits, of the kind decimal alone.
        scale: number of them after the point.
        is_own: whether the config declares it, and not the bundle.
    """

    name: str
    kind: Kind
    required: bool
    valid_form: str
    is_payload: bool = True
    added_in: int = 1
    precision: int = 0
    scale: int = 0
    is_own: bool = False

    @property
    def is_added(self) -> bool:
        """Whether there are lines of a time before the column, which hold null."""
        return self.is_own or self.added_in > 1

    @property
    def may_be_absent(self) -> bool:
        """Whether a file may lack the column, because files written before the column existed lack it."""
        return self.is_added and not self.required


RECEIVED_COLUMNS: tuple[ReceivedColumn, ...] = (
    ReceivedColumn("store_id", "text", True, "text"),
    ReceivedColumn("transaction_id", "text", True, "text"),
    ReceivedColumn("line_number", "integer", True, "an integer from 0 to 2147483647"),
    ReceivedColumn(
        "sold_at", "timestamp", True, "ISO 8601 with an offset or Z, as 2026-11-27T09:30:00-05:00"
    ),
    ReceivedColumn("customer_id", "text", False, "text, or empty for a walk-in"),
    ReceivedColumn("product_id", "text", True, "text"),
    ReceivedColumn("product_name", "text", False, "text, or empty"),
    ReceivedColumn("category", "text", False, "text, or empty"),
    ReceivedColumn("line_type", "line_type", True, "SALE or RETURN"),
    ReceivedColumn(
        "quantity", "quantity", True, "a decimal with at most 9 digits before the point and 3 after"
    ),
    ReceivedColumn("gross_amount", "amount", True, "a decimal with no more decimals than its currency has"),
    ReceivedColumn("discount_amount", "amount", False, "as gross_amount, or empty for 0"),
    ReceivedColumn("currency", "currency", True, "a three-letter ISO 4217 code"),
    ReceivedColumn("payment_method", "text", False, "text, or empty"),
    ReceivedColumn("channel", "text", False, "text, or empty"),
)


_own_columns: ContextVar[tuple[ReceivedColumn, ...]] = ContextVar("own_columns", default=())


def own_columns() -> tuple[ReceivedColumn, ...]:
    """Returns the columns that a team adds to the contract, by name."""
    return _own_columns.get()


def received_columns() -> tuple[ReceivedColumn, ...]:
    """Returns all columns of the contract in force: those of the bundle, then the team's own."""
    return (*RECEIVED_COLUMNS, *own_columns())


def received_names() -> tuple[str, ...]:
    """Returns the names of all columns of the contract in force."""
    return tuple(column.name for column in received_columns())


@contextmanager
def contract_with(columns: Iterable[ReceivedColumn]) -> Iterator[None]:
    """Puts a team's own columns in force while the context lasts, in place of those that were.

    They are in order of their names, so that the hash of a line depends on no order in the config.
    """
    token = _own_columns.set(tuple(sorted(columns, key=lambda column: column.name)))
    try:
        yield
    finally:
        _own_columns.reset(token)


def names_of(*kinds: Kind) -> tuple[str, ...]:
    """Returns the names of the received columns of these kinds, in order."""
    return tuple(column.name for column in received_columns() if column.kind in kinds)


def own_amounts() -> tuple[str, ...]:
    """Returns the names of the team's own amounts, which are reconciled as ``gross_amount`` is."""
    return tuple(column.name for column in own_columns() if column.kind == "amount")


# Raise this version when a change of transforms.rules or of a field's form changes how lines are accepted,
# rejected or typed. It is a pinned setting, so the batch detects a lake that was made with other rules.
RULES_VERSION = 2

RECEIVED_NAMES: tuple[str, ...] = tuple(column.name for column in RECEIVED_COLUMNS)

# Rules over several fields, keys and amounts use these columns by name.
GROSS_AMOUNT = "gross_amount"
DISCOUNT_AMOUNT = "discount_amount"

SALE = "SALE"
RETURN = "RETURN"

DROP_FOLDER_PREFIX = "drop_date="
MANIFEST_NAME = "manifest.json"
