"""The gold tables that a config declares (config key ``gold``): each a SQL file, a period and keys."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from pipeline.config_group import ConfigGroup
from schemas.gold import GOLD_TABLES, SALES_VIEW, Period
from schemas.states import Stage

_NAME_FORM = re.compile(r"[a-z][a-z0-9_]*")
# Key of the context of a validation: the folder of the config file.
FOLDER = "folder"
# Built-in tables that a declared one may select from: those that its stage builds.
BUILT_IN_SOURCES = {table.view: table for table in GOLD_TABLES if table.stage is Stage.DAILY_SALES}


@dataclass(frozen=True)
class SqlFile:
    """A SQL file of a config.

    Attributes:
        path: its path as the config names it, relative to the config file.
        text: its content.
    """

    path: str
    text: str


def _read(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, SqlFile):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError("must be the path of a SQL file, relative to the config file")
    folder = Path((info.context or {}).get(FOLDER, "."))
    # On a cluster the submission sends the file beside the config.
    paths = [folder / value, folder / Path(value).name]
    path = next((path for path in paths if path.is_file()), paths[0])
    try:
        return SqlFile(value, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"file {path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"file {path}: not UTF-8: {error.reason}") from None


def _describe(file: SqlFile) -> str:
    return f"{file.path} (sha256 {hashlib.sha256(file.text.encode()).hexdigest()})"


Sql = Annotated[
    SqlFile,
    BeforeValidator(_read),
    PlainSerializer(_describe, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
# What an editor knows of the names of tables.
NAMES = {"propertyNames": {"pattern": f"^{_NAME_FORM.pattern}$"}}
ColumnName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class DeclaredGold(ConfigGroup):
    """A gold table of the config: the SQL file, one row's period, its keys and the sums that must agree."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    sql: Annotated[Sql, Field(description="SQL file, relative to the config file; it selects from `sales`")]
    period: Annotated[Period, Field(description="what one row covers: `day`, `week` or `month`")]
    keys: Annotated[
        tuple[ColumnName, ...],
        Field(
            min_length=1,
            json_schema_extra={"uniqueItems": True},
            description="columns that identify a row; the first holds the first date of the period",
        ),
    ]
    reconcile: Annotated[
        tuple[ColumnName, ...],
        Field(
            json_schema_extra={"uniqueItems": True},
            description="columns whose sums must be those of `silver/sales`, by period and currency",
        ),
    ] = ()

    @field_validator("keys", "reconcile")
    @classmethod
    def _stand_once(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise ValueError(f"column {twice[0]!r} stands twice")
        return columns

    @property
    def period_column(self) -> str:
        """Column that holds the first date of the period."""
        return self.keys[0]

    @property
    def adds_currencies(self) -> bool:
        """Whether it sums amounts without telling currencies apart."""
        return bool(self.reconcile) and "currency" not in self.keys

    def digest(self, columns: str, sources: Iterable[str]) -> str:
        """sha256 in hex of what decides the table's rows.

        Args:
            columns: columns and types that the SQL gives. A ``select *`` gives others if ``sales`` gets more.
            sources: digests of the declared tables that it selects from.
        """
        content = [self.sql.text, self.period.value, self.keys, self.reconcile, columns, sorted(sources)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


DeclaredTables = Mapping[str, DeclaredGold | None]


def check_declared(tables: DeclaredTables, sales_columns: Iterable[str]) -> None:
    """Takes the first look at the SQL of declared tables, without Spark.

    Args:
        tables: declarations by name; None for a table that is no longer built.
        sales_columns: columns of ``sales``.

    Raises:
        ValueError: a name or a SQL file is not valid. The message names the table, the file and the position.
    """
    for name in tables:
        _check_name(name)
    declared = {name: table for name, table in tables.items() if table is not None}
    if declared:
        _check_queries(declared, frozenset(sales_columns))


def _check_name(name: str) -> None:
    if not _NAME_FORM.fullmatch(name):
        raise ValueError(f"{name!r} must be lower-case letters, digits and _, such as weekly_products")
    if name == SALES_VIEW or name in {table.view for table in GOLD_TABLES}:
        raise ValueError(f"{name!r} is a built-in table: choose another name")


def _check_queries(declared: Mapping[str, DeclaredGold], sales_columns: frozenset[str]) -> None:
    # Only a config with gold tables pays for the import.
    from pipeline.planning.gold_queries import in_order, read_query, unknown_columns

    sources: dict[str, tuple[str, ...]] = {}
    for name, table in declared.items():
        try:
            sources[name] = read_query(table.sql.text, table.period_column).sources
            _check_sources(name, sources[name], declared)
            if set(sources[name]) <= {SALES_VIEW, *BUILT_IN_SOURCES}:
                known = {c for source in sources[name] for c in _columns_of(source, sales_columns)}
                for problem in unknown_columns(table.sql.text, known):
                    raise ValueError(f"{problem}; {SALES_VIEW} has {', '.join(sorted(sales_columns))}")
        except ValueError as error:
            raise ValueError(f"{name}: {table.sql.path}: {error}") from None
    in_order(sources)


def _columns_of(source: str, sales_columns: frozenset[str]) -> Iterable[str]:
    return sales_columns if source == SALES_VIEW else BUILT_IN_SOURCES[source].columns


def _check_sources(name: str, sources: Iterable[str], declared: Mapping[str, DeclaredGold]) -> None:
    periods = {view: table.period for view, table in BUILT_IN_SOURCES.items()}
    periods |= {view: table.period for view, table in declared.items()}
    for source in sources:
        if source == SALES_VIEW:
            continue
        if source not in periods:
            raise ValueError(f"no table {source!r}: known are {', '.join(sorted({SALES_VIEW, *periods}))}")
        if periods[source] is not declared[name].period:
            raise ValueError(
                f"{source!r} is a table of {periods[source]}s, {name!r} of {declared[name].period}s: "
                "a table selects from tables of its own period"
            )
