"""A team's own columns and rules: the config keys ``contract.columns`` and ``rules``.

Their form is checked here, before Spark starts. ``pipeline.lake.conditions`` checks the conditions of rules
with Spark's own parser and analyzer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, cast, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from pipeline.config_group import ConfigGroup
from schemas.gold import GOLD_TABLES
from schemas.landing import RECEIVED_NAMES, Kind, ReceivedColumn
from schemas.own_rules import OwnRule
from schemas.tables import CONFLICTS, RECEIVED_SALES, REFUSED_SALES, SALES
from transforms.rules import MOST_RULES, contract_reasons

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DECIMAL = re.compile(r"decimal\((\d{1,2}), ?(\d{1,2})\)")
_MOST_DIGITS = 38
KINDS = tuple(kind for kind in get_args(Kind) if kind != "decimal")
# Names that the transforms use for columns of their own, besides those of the tables.
_RESERVED_PREFIXES = ("typed_", "text_", "own_", "kept_", "folded_start", "warned_", "duplicate_")
_WORKING_NAMES = (
    "absolute_gross broken_own_rules broken_rules business_dates cells copies copy digest fate fields file "
    "first gross hash is_accepted line line_hash lines malformed_text may_be_resent padding parsed payload "
    "position positions record side untidy_raw value"
)
_TABLES = (RECEIVED_SALES, REFUSED_SALES, SALES, CONFLICTS, *GOLD_TABLES)
_RESERVED = {*_WORKING_NAMES.split(), *(name for table in _TABLES for name in table.base.fieldNames())}
_FORMS = {
    "text": "text, or empty",
    "integer": "an integer from 0 to 2147483647",
    "timestamp": "ISO 8601 with an offset or Z",
    "quantity": "a decimal with at most 9 digits before the point and 3 after",
    "amount": "a decimal with no more decimals than its currency has",
    "line_type": "SALE or RETURN",
    "currency": "a three-letter ISO 4217 code",
    "boolean": "true or false",
    "date": "YYYY-MM-DD",
}


# What an editor knows of names and kinds. The validators below decide.
NAMES = {"propertyNames": {"pattern": f"^{_NAME.pattern}$"}}
_KINDS_SCHEMA = {
    "anyOf": [
        {"enum": list(KINDS)},
        {"type": "string", "pattern": r"^decimal\(\d{1,2}, ?\d{1,2}\)$"},
    ]
}


def _known_kind(kind: str) -> str:
    digits = _DECIMAL.fullmatch(kind)
    if digits:
        precision, scale = int(digits[1]), int(digits[2])
        if not 1 <= precision <= _MOST_DIGITS or scale > precision:
            raise ValueError(f"decimal(p,s) must have 1 to {_MOST_DIGITS} digits, s of them after the point")
        return f"decimal({precision},{scale})"
    if kind not in KINDS:
        raise ValueError(f"must be one of {', '.join(KINDS)} or decimal(p,s), such as decimal(10,2)")
    return kind


class OwnColumn(ConfigGroup):
    """A received column of a team's own.

    Attributes:
        kind: decides which texts are valid, and the type.
        required: whether an empty field rejects the line, and a file must have the column.
    """

    kind: Annotated[str, AfterValidator(_known_kind), WithJsonSchema(_KINDS_SCHEMA)]
    required: bool = False

    def as_received(self, name: str) -> ReceivedColumn:
        """Returns the column as the contract declares one."""
        digits = _DECIMAL.fullmatch(self.kind)
        if digits is None:
            kind = cast(Kind, self.kind)
            return ReceivedColumn(name, kind, self.required, _FORMS[kind], is_own=True)
        precision, scale = int(digits[1]), int(digits[2])
        form = f"a decimal with at most {precision - scale} digits before the point and {scale} after"
        return ReceivedColumn(
            name, "decimal", self.required, form, precision=precision, scale=scale, is_own=True
        )


def _own_names(columns: dict[str, OwnColumn]) -> dict[str, OwnColumn]:
    for name in columns:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} must be lower-case letters, digits and _, such as tax_amount")
        if name in RECEIVED_NAMES:
            raise ValueError(f"{name!r} is a column of the contract already")
        if name in _RESERVED or name.startswith(_RESERVED_PREFIXES):
            raise ValueError(f"{name!r} is a name that the tables use for themselves: choose another")
    return columns


class Contract(ConfigGroup):
    """What a team adds to the landing contract."""

    columns: Annotated[dict[str, OwnColumn], AfterValidator(_own_names), Field(json_schema_extra=dict(NAMES))]

    @property
    def received(self) -> tuple[ReceivedColumn, ...]:
        """The columns as the contract declares them."""
        return tuple(column.as_received(name) for name, column in self.columns.items())

    @property
    def pinned(self) -> dict[str, Any]:
        """The columns as plain values."""
        return {name: column.model_dump() for name, column in sorted(self.columns.items())}


def columns_of(pinned: Mapping[str, Any]) -> dict[str, OwnColumn]:
    """Reads the columns that a lake's pinned settings hold."""
    return {name: OwnColumn.model_validate(values) for name, values in pinned.items()}


def _quoted_stores(stores: Any) -> Any:
    # Without quotes, YAML reads a store as a number, and 0042 as an octal one.
    if isinstance(stores, list | tuple) and not all(isinstance(store, str) for store in stores):
        raise ValueError("a store must be in quotes, for example ['1042']")
    for store in (store for store in stores or () if store != store.strip()):
        raise ValueError(f"{store!r} has blanks around it: no line has such a store")
    return stores


Condition = Annotated[str, Field(min_length=1, max_length=10_000)]
_STORES_SCHEMA = {
    "anyOf": [
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
        {"type": "null"},
    ],
    "default": None,
}


def _given(name: str) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"type": "string"}}}


class Rule(ConfigGroup):
    """A condition that rejects a line or warns of it.

    Attributes:
        reject_when: Spark SQL; a line of which it is true is rejected, with the rule's name as reason.
        warn_when: Spark SQL; lines of which it is true are counted, and published.
        stores: stores that the rule holds for; None for all.
    """

    model_config = ConfigDict(json_schema_extra={"oneOf": [_given("reject_when"), _given("warn_when")]})

    reject_when: Condition | None = None
    warn_when: Condition | None = None
    stores: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...] | None,
        BeforeValidator(_quoted_stores),
        WithJsonSchema(_STORES_SCHEMA),
    ] = None

    @model_validator(mode="after")
    def _has_one_effect(self) -> Rule:
        if (self.reject_when is None) == (self.warn_when is None):
            raise ValueError("a rule has either reject_when or warn_when")
        if self.stores == ():
            raise ValueError("stores must name one store at least; without the key, the rule holds for all")
        return self

    def as_own(self, name: str) -> OwnRule:
        """Returns the rule as the transforms take it."""
        warns = self.reject_when is None
        condition = self.warn_when if warns else self.reject_when
        return OwnRule(name, str(condition), tuple(sorted(self.stores or ())), warns)


def _own_reasons(rules: dict[str, Rule]) -> dict[str, Rule]:
    taken = contract_reasons()
    for name in rules:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} must be lower-case letters, digits and _, such as too_many_units")
        if name in taken or name.startswith(("missing_", "bad_", "excess_scale_")):
            raise ValueError(f"{name!r} is a reject reason of the contract already")
    rejecting = sum(rule.reject_when is not None for rule in rules.values())
    most = MOST_RULES - len(taken)
    if most < 0:
        raise ValueError(f"contract.columns have {-most} reject reasons too many: there can be {MOST_RULES}")
    if rejecting > most:
        raise ValueError(f"{rejecting} rules with reject_when: with these columns there can be {most}")
    return rules


Rules = Annotated[dict[str, Rule], AfterValidator(_own_reasons), Field(json_schema_extra=dict(NAMES))]


def own_rules(rules: Mapping[str, Rule]) -> tuple[OwnRule, ...]:
    """Returns the rules in the order of their names."""
    return tuple(rule.as_own(name) for name, rule in sorted(rules.items()))
