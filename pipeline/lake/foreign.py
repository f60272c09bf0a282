"""What others set on a table that keeps the batch from working, and the SQL that removes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pyspark.sql.types import StructType

from schemas.tables import Table

APPEND_ONLY = "delta.appendOnly"
# Features that others turn on, with which a data file is not what its rows are. The batch works with them.
FOREIGN_FEATURES = ("deletionVectors", "columnMapping")
CONSTRAINT = "delta.constraints."
COLUMN_MAPPING = "delta.columnMapping.mode"
# Properties with which a write fails, or loses what later runs rest on.
_REFUSED_PROPERTIES = {
    "delta.setTransactionRetentionDuration": "Delta would forget the number of the batch's last commit",
    "delta.universalFormat.enabledFormats": "its writers need classes that the batch does not load",
}


@dataclass(frozen=True)
class Obstacle:
    """Something on a table that keeps the batch from writing to it.

    Attributes:
        path: full URI of the table.
        what: the property, constraint or column, with its value.
        why: what it keeps the batch from.
        remedy: SQL that removes it, to be put after ``ALTER TABLE`` and the table; empty if there is none.
    """

    path: str
    what: str
    why: str
    remedy: str

    @property
    def statement(self) -> str:
        """The SQL statement that removes it."""
        return f"ALTER TABLE {sql_name(self.path)} {self.remedy}"

    def describe(self) -> str:
        """One line: what it is, why it matters, and how to remove it."""
        told = f"table {self.path}: {self.what}: {self.why}"
        return f"{told}; remove it: {self.statement}" if self.remedy else told


def sql_name(path: str) -> str:
    """Returns a table's name in SQL, by its path; a quote in the path cannot end the name."""
    return f"delta.`{path.replace('`', '``')}`"


def find_obstacles(
    table: Table, path: str, properties: Mapping[str, str], schema: StructType, *, only_appends: bool
) -> list[Obstacle]:
    """Compares a table with what the batch's writes need.

    Args:
        table: contract.
        path: full URI of the table.
        properties: properties of the table.
        schema: columns of the table.
        only_appends: whether the batch only appends to the table.
    """
    found = [*_constraints(properties), *_required_columns(table, schema), *_properties(properties)]
    if not only_appends and properties.get(APPEND_ONLY, "").lower() == "true":
        found.append((f"property {APPEND_ONLY} is true", "the batch replaces dates", _unset(APPEND_ONLY)))
    return [Obstacle(path, *texts) for texts in found]


def _constraints(properties: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name, value in sorted(properties.items()):
        if name.startswith(CONSTRAINT):
            constraint = name.removeprefix(CONSTRAINT)
            yield (
                f"constraint {constraint} is {value}",
                "a date that does not meet it could not be published",
                f"DROP CONSTRAINT `{constraint}`",
            )


def _required_columns(table: Table, schema: StructType) -> Iterator[tuple[str, str, str]]:
    own = {field.name: field.nullable for field in table.schema.fields}
    for field in schema.fields:
        if not field.nullable and own.get(field.name, True):
            yield (
                f"column {field.name} is NOT NULL",
                "the batch may write null",
                f"ALTER COLUMN `{field.name}` DROP NOT NULL",
            )


def _properties(properties: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name, why in _REFUSED_PROPERTIES.items():
        if properties.get(name):
            yield f"property {name} is {properties[name]}", why, _unset(name)


def _unset(name: str) -> str:
    return f"UNSET TBLPROPERTIES ('{name}')"
