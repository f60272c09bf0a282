"""Cases for a team's own columns, rules and tables: lines in, what becomes of them out, as YAML files.

The keys are documented in docs/how-to/extend-without-forking.md.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from pipeline.config_group import ConfigGroup
from pipeline.yaml_text import read_yaml
from schemas.errors import UsageError
from schemas.landing import SALE, received_names

# Key of the context of a validation: the columns of each gold table, by its name.
_TABLES = "tables"
Tables = Mapping[str, Sequence[str]]


def _as_text(value: Any) -> Any:
    """YAML reads 0042 as a number, and 1.50 as 1.5: only quotes keep what a file would hold."""
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"must be in quotes, as a file holds it: '{value}'")


Text = Annotated[str | None, BeforeValidator(_as_text)]


class Outcome(ConfigGroup):
    """What becomes of a line: all its reject reasons, or, of an accepted line, all its warnings."""

    rejected: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()


def _outcome(value: Any) -> Any:
    return {} if value == "accepted" else value


class Expected(ConfigGroup):
    """What a case expects.

    Attributes:
        lines: outcome of each given line, in order; none to check no line.
        gold: rows of gold tables by name, without ``gold/``; columns that no row names are not compared.
    """

    lines: tuple[Annotated[Outcome, BeforeValidator(_outcome)], ...] = ()
    gold: dict[str, tuple[dict[str, Any], ...]] = Field(default_factory=dict)


class Case(ConfigGroup):
    """One case.

    Attributes:
        name: what it shows.
        drop_date: day of the delivery.
        given: lines as a file holds them; a field that is not named has the value of a sound line.
        expect: what becomes of them.
    """

    name: Annotated[str, Field(min_length=1)]
    drop_date: dt.date = dt.date(2026, 3, 2)
    given: Annotated[tuple[dict[str, Text], ...], Field(min_length=1)]
    expect: Expected

    @model_validator(mode="after")
    def _fits_together(self, info: ValidationInfo) -> Case:
        known = received_names()
        for name in (name for line in self.given for name in line if name not in known):
            raise ValueError(f"given: {name!r} is no column of the contract; they are {', '.join(known)}")
        if self.expect.lines and len(self.expect.lines) != len(self.given):
            raise ValueError(f"expect.lines has {len(self.expect.lines)} entries, given {len(self.given)}")
        if not self.expect.lines and not self.expect.gold:
            raise ValueError("expect must have lines or gold")
        _check_rows(self.expect.gold, (info.context or {}).get(_TABLES, {}))
        return self

    def received(self, currency: str) -> list[dict[str, str | None]]:
        """Returns the given lines with all fields of the contract.

        Args:
            currency: one that the config accepts.
        """
        sound: dict[str, str | None] = {
            "store_id": "1",
            "line_number": "1",
            "sold_at": f"{self.drop_date}T17:00:00Z",
            "customer_id": "C-1",
            "product_id": "P-1",
            "product_name": "Apple",
            "category": "Fruit",
            "line_type": SALE,
            "quantity": "1",
            "gross_amount": "10",
            "currency": currency,
        }
        return [
            {**sound, "transaction_id": f"T-{number}", **line} for number, line in enumerate(self.given, 1)
        ]


def _check_rows(expected: Mapping[str, Sequence[Mapping[str, Any]]], tables: Tables) -> None:
    for name, rows in expected.items():
        if name not in tables:
            raise ValueError(f"expect.gold: {name!r} is no gold table; they are {', '.join(tables)}")
        for row in rows:
            for column in (column for column in row if column not in tables[name]):
                known = ", ".join(tables[name])
                raise ValueError(f"expect.gold.{name}: {column!r} is no column of it; they are {known}")
            if set(row) != set(rows[0]):
                raise ValueError(f"expect.gold.{name}: rows name different columns: name the same in each")


def _of_own_names(cases: tuple[Case, ...]) -> tuple[Case, ...]:
    for name, count in Counter(case.name for case in cases).items():
        if count > 1:
            raise ValueError(f"name {name!r} stands twice")
    return cases


class _File(ConfigGroup):
    cases: Annotated[tuple[Case, ...], Field(min_length=1), AfterValidator(_of_own_names)]


@dataclass(frozen=True)
class FiledCase:
    """A case and the file that it stands in."""

    path: str
    case: Case

    @property
    def title(self) -> str:
        """File and name, for messages."""
        return f"{self.path}: {self.case.name}"


def read_cases(paths: Iterable[str], tables: Tables) -> list[FiledCase]:
    """Reads files of cases, against the contract in force.

    Args:
        paths: files.
        tables: columns of the gold tables, by name without ``gold/``.

    Raises:
        UsageError: a file cannot be read or is not valid. The message names file, key and valid form.
    """
    return [FiledCase(path, case) for path in paths for case in _read(path, tables).cases]


def _read(path: str, tables: Tables) -> _File:
    try:
        content = read_yaml(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cases {path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"cases {path}: not YAML: {' '.join(str(error).split())}") from None
    try:
        return _File.model_validate(content, context={_TABLES: tables})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise UsageError(f"cases {path}: {key}: {problem['msg'].removeprefix('Value error, ')}") from None
