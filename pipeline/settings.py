"""Reads, checks and freezes the settings of a run, from YAML. An unknown key is an error that names it."""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from pipeline.config_group import ConfigGroup
from pipeline.extensions import Contract, Rules, own_rules
from pipeline.gold_config import FOLDER, DeclaredGold, check_declared
from pipeline.gold_config import NAMES as TABLE_NAMES
from pipeline.profiles import DeliveryProfile
from pipeline.yaml_text import read_yaml
from schemas.addresses import REASON, holds_secret
from schemas.currencies import currency_scale
from schemas.errors import UsageError
from schemas.landing import RECEIVED_NAMES, RULES_VERSION, contract_with, received_names
from schemas.own_rules import OwnRule
from schemas.ranges import KeyRange, parse_ranges
from schemas.states import DocumentKind, NoticeKind, Stage
from schemas.tables import SALES

DEFAULTS = Path(__file__).resolve().parent.parent / "configs" / "cymbal.yaml"
_MAX_SCALE = 3
_SCHEMA_FORM = re.compile(r"\w+(\.\w+)?")
_SERIES_FORM = re.compile(r"(?:[A-Za-z0-9._/-]|\{year\})*[A-Za-z._/-]")
_TIME_FORM = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be a time zone of the IANA database, such as America/New_York") from None
    return name


def _time_of_day(value: Any) -> Any:
    # YAML 1.1 reads an unquoted 14:30 as 870, a number in base 60.
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return f"{value // 60:02d}:{value % 60:02d}"
    if isinstance(value, str) and not _TIME_FORM.fullmatch(value):
        raise ValueError("must be a local time of the form HH:MM, such as 04:00")
    return value


def _whole_minute(value: dt.time) -> dt.time:
    if value.second or value.microsecond or value.tzinfo is not None:
        raise ValueError("must be a local time of the form HH:MM, such as 04:00")
    return value


TimeZone = Annotated[str, AfterValidator(_known_zone)]
TimeOfDay = Annotated[
    dt.time,
    BeforeValidator(_time_of_day),
    AfterValidator(_whole_minute),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^{_TIME_FORM.pattern}$"},
                {"type": "integer", "minimum": 0, "maximum": 1439},  # 14:30 is 870 in YAML 1.1
            ]
        }
    ),
]
Share = Annotated[float, Field(ge=0, le=1)]


class Storage(ConfigGroup):
    """The landing and the lake, each a path or a URI of any Hadoop file system; and an optional catalog."""

    landing: Annotated[str, Field(min_length=1)]
    lake: Annotated[str, Field(min_length=1)]
    catalog: str | None

    @field_validator("landing", "lake")
    @classmethod
    def _holds_no_secret(cls, address: str) -> str:
        if holds_secret(address):
            raise ValueError(REASON)
        return address

    @field_validator("catalog")
    @classmethod
    def _is_a_schema(cls, catalog: str | None) -> str | None:
        if catalog is not None and not _SCHEMA_FORM.fullmatch(catalog):
            raise ValueError("must be a schema of a catalog, such as sales or spark_catalog.sales")
        return catalog


class LandingRules(ConfigGroup):
    """What of a landing is a delivery."""

    ignore: tuple[Annotated[str, Field(min_length=1)], ...]
    max_days_ahead: Annotated[int, Field(ge=0, le=36500)]


class TextForm(ConfigGroup):
    """How texts are compared; None keeps what the lake has, and is nfc for a new lake."""

    normalize: Literal["nfc", "none"] | None


class BusinessDay(ConfigGroup):
    """When the business day of a store starts."""

    timezone: TimeZone
    starts_at: TimeOfDay
    store_timezones: dict[str, TimeZone]

    @property
    def zones(self) -> list[str]:
        """All zones that lines are dated in."""
        return [self.timezone, *self.store_timezones.values()]

    @field_validator("store_timezones", mode="before")
    @classmethod
    def _are_named_by_text(cls, zones: Any) -> Any:
        # Without quotes, YAML reads a store as a number, and 0042 as an octal one.
        if isinstance(zones, dict) and not all(isinstance(store, str) for store in zones):
            raise ValueError("a store must be in quotes, for example {'1042': America/Chicago}")
        return zones


class Late(ConfigGroup):
    """How late a line may arrive and still restate its sale date."""

    days: Annotated[int, Field(ge=0, le=3650)]
    history_before: dt.date | None

    def is_history(self, date: dt.date) -> bool:
        """Whether a date is history: its lines are never late, and it has no deadline."""
        return self.history_before is not None and date < self.history_before


class Chunks(ConfigGroup):
    """How to split a data set into chunks, and chunks into Spark partitions."""

    key: str
    ranges: tuple[str, ...]
    target_rows_per_partition: Annotated[int, Field(ge=1)]

    @field_validator("key")
    @classmethod
    def _is_received(cls, key: str) -> str:
        if key not in received_names():
            raise ValueError(f"must be a received column, one of {', '.join(received_names())}")
        return key

    @field_validator("ranges")
    @classmethod
    def _are_disjoint(cls, ranges: tuple[str, ...]) -> tuple[str, ...]:
        parse_ranges(ranges)
        return ranges

    @property
    def key_ranges(self) -> tuple[KeyRange, ...]:
        """The parsed ranges."""
        return parse_ranges(self.ranges)


class Ingest(ConfigGroup):
    """How many bytes of drops one pass may read; a pass never splits a drop."""

    max_bytes_per_window: Annotated[int, Field(ge=1)]


class Publish(ConfigGroup):
    """How many lines one publication may hold; a publication never splits a business date."""

    max_lines_per_window: Annotated[int, Field(ge=1)]


class Deadlines(ConfigGroup):
    """Deadline of each stage for a business date: a local time on the next day; None for no deadline."""

    ingest_sales: TimeOfDay | None
    publish_sales: TimeOfDay | None
    build_daily_sales: TimeOfDay | None
    bill_customers: TimeOfDay | None
    issue_invoices: TimeOfDay | None

    def by_stage(self) -> dict[Stage, dt.time]:
        """Returns the deadlines that are set."""
        times = {stage: getattr(self, stage.value) for stage in Stage}
        return {stage: time for stage, time in times.items() if time is not None}


class Notify(ConfigGroup):
    """What a run sends messages about; where to is a secret, and so a matter of the environment."""

    events: tuple[NoticeKind, ...]


class Audit(ConfigGroup):
    """Shares of lines above, or below, which a drop or a date is refused."""

    max_rejected_share: Share
    max_conflict_share: Share
    min_share_of_previous: Share


class PastCurrency(ConfigGroup):
    """A currency that no sale after a date is in."""

    code: str
    valid_until: dt.date


Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class ExpectedStore(ConfigGroup):
    """A store whose lines a drop must hold, on the days on which it is open."""

    store_id: Annotated[str, Field(min_length=1)]
    days: tuple[Weekday, ...] = _WEEKDAYS
    opened: dt.date | None = None
    closed: dt.date | None = None

    def is_expected(self, drop_date: dt.date) -> bool:
        """Whether the drop of a day must hold lines of the store; ``closed`` is the last such day."""
        is_there = (self.opened or drop_date) <= drop_date <= (self.closed or drop_date)
        return is_there and _WEEKDAYS[drop_date.weekday()] in self.days


class Stores(ConfigGroup):
    """What becomes of a delivery that lacks an expected store, and whether receipt numbers may jump."""

    missing: Literal["block", "warn"]
    gapless: dict[Literal["transaction_id"], Literal["integer"]]


def _series_form(template: str) -> str:
    # The number follows directly: after a digit, nobody could tell where the series ends.
    if not _SERIES_FORM.fullmatch(template):
        raise ValueError(
            "must be letters, digits, '-', '_', '.', '/' or {year}, and must not end with a digit or {year}: "
            "for example '{year}-'"
        )
    return template


SeriesTemplate = Annotated[str, AfterValidator(_series_form)]


class Series(ConfigGroup):
    """The series of each kind of document: what stands before its running number."""

    invoice: SeriesTemplate
    credit_note: SeriesTemplate
    debit_note: SeriesTemplate
    correction: SeriesTemplate

    def of_year(self, year: int) -> dict[DocumentKind, str]:
        """Returns the series of each kind for documents issued in a year."""
        return {kind: getattr(self, kind.value).replace("{year}", f"{year:04d}") for kind in DocumentKind}


class Seller(ConfigGroup):
    """Who issues the documents, as printed on them; empty where it is not given."""

    name: str
    address: tuple[str, ...]
    tax_id: str
    country: Annotated[str, Field(pattern="^([A-Z]{2})?$")]


class Billing(ConfigGroup):
    """Whether, when and under which numbers documents are issued."""

    issue: bool
    hold_days: Annotated[int, Field(ge=0, le=365)]
    issue_from: dt.date | None
    series: Series
    seller: Seller


class Report(ConfigGroup):
    """What the HTML page of a run may show."""

    samples: bool


class Settings(ConfigGroup):
    """The whole config, checked."""

    storage: Storage
    landing: LandingRules
    text: TextForm
    business_day: BusinessDay
    late: Late
    chunks: Chunks
    ingest: Ingest
    publish: Publish
    deadlines: Deadlines
    notify: Notify
    currencies: Annotated[tuple[str | PastCurrency, ...], Field(min_length=1)]
    audit: Audit
    expected_stores: tuple[ExpectedStore, ...]
    stores: Stores
    billing: Billing
    report: Report
    columns: dict[str, Annotated[str, Field(min_length=1)]]
    nulls: tuple[str, ...]
    deliveries: tuple[DeliveryProfile, ...]
    contract: Contract
    rules: Rules
    gold: Annotated[dict[str, DeclaredGold | None], Field(json_schema_extra=dict(TABLE_NAMES))]

    @model_validator(mode="after")
    def _have_sound_gold(self) -> Settings:
        check_declared(self.gold, SALES.columns)
        if len(self.currencies) > 1:
            mixed = [name for name, table in self.gold.items() if table is not None and table.adds_currencies]
            if mixed:
                raise ValueError(
                    f"gold.{mixed[0]}: reconcile needs currency among the keys, since several currencies are "
                    "accepted, and amounts of different currencies are never added"
                )
        return self

    @model_validator(mode="after")
    def _profiles_read_each_name_once(self) -> Settings:
        for number, profile in enumerate(self.deliveries):
            if profile.format != "fixed_width":
                _check_read_once(profile.received_names(self.columns), f"deliveries[{number}]: ")
        return self

    @field_validator("deliveries")
    @classmethod
    def _can_be_reached(cls, profiles: tuple[DeliveryProfile, ...]) -> tuple[DeliveryProfile, ...]:
        patterns = [profile.files.lower() for profile in profiles]
        for number, pattern in enumerate(patterns):
            if pattern in patterns[:number]:
                raise ValueError(f"{profiles[number].files!r} stands twice; the first that matches wins")
        return profiles

    @field_validator("expected_stores", mode="before")
    @classmethod
    def _are_stores(cls, stores: Any) -> Any:
        listed = _read_stores(stores) if isinstance(stores, str) else stores
        if not isinstance(listed, list | tuple):
            raise ValueError("must be a list of stores, or the path of a YAML file that holds one")
        return [{"store_id": store} if isinstance(store, str) else store for store in listed]

    @field_validator("expected_stores")
    @classmethod
    def _stand_once(cls, stores: tuple[ExpectedStore, ...]) -> tuple[ExpectedStore, ...]:
        counts = Counter(store.store_id for store in stores)
        twice = sorted(name for name, count in counts.items() if count > 1)
        if twice:
            raise ValueError(f"store {twice[0]!r} stands twice")
        return stores

    @field_validator("currencies")
    @classmethod
    def _are_known(cls, currencies: tuple[str | PastCurrency, ...]) -> tuple[str | PastCurrency, ...]:
        codes = [_code(currency) for currency in currencies]
        for number, code in enumerate(codes):
            _scale(code)
            if code in codes[:number] and any(isinstance(currency, PastCurrency) for currency in currencies):
                raise ValueError(f"{code!r} stands twice")
        return currencies

    @field_validator("columns")
    @classmethod
    def _are_contract_names(cls, columns: dict[str, str]) -> dict[str, str]:
        for name, received in columns.items():
            if name not in received_names():
                raise ValueError(
                    f"{name!r} is not a column of the contract{_nearest(name, received_names())}"
                )
            if any(character in received for character in "'\"\\"):
                raise ValueError(f"{received!r} contains a quote or a backslash; a column name must not")
        _check_read_once({name: columns.get(name, name) for name in received_names()})
        return columns

    @property
    def currency_scales(self) -> dict[str, int]:
        """Number of decimals of each allowed currency, by ISO 4217 code."""
        return {_code(currency): _scale(_code(currency)) for currency in self.currencies}

    @property
    def currency_ends(self) -> dict[str, dt.date]:
        """Last sale date of each currency that has one, by ISO 4217 code."""
        return {c.code: c.valid_until for c in self.currencies if isinstance(c, PastCurrency)}

    @property
    def received_names(self) -> dict[str, str]:
        """Name of each contract column in received files."""
        return {name: self.columns.get(name, name) for name in (*RECEIVED_NAMES, *self.contract.columns)}

    @property
    def own_rules(self) -> tuple[OwnRule, ...]:
        """The team's own rules, in the order of their names."""
        return own_rules(self.rules)

    @property
    def pinned(self) -> dict[str, Any]:
        """Settings that decide content, as plain values by dotted name; a lake pins them."""
        values = self.model_dump(mode="json")
        return {
            **{f"business_day.{name}": value for name, value in values["business_day"].items()},
            **{f"late.{name}": value for name, value in values["late"].items()},
            "columns": {name: received for name, received in self.columns.items() if name != received},
            "currencies": sorted(values["currencies"], key=str),
            "nulls": sorted(self.nulls),
            "text.normalize": self.text.normalize,
            "landing.ignore": list(self.landing.ignore),
            "deliveries": [profile.pinned for profile in self.deliveries],
            "rules": RULES_VERSION,
            "rules.own": {rule.name: rule.as_json() for rule in self.own_rules},
            "contract.columns": self.contract.pinned,
            "chunks.key": self.chunks.key,
            "chunks.ranges": list(self.chunks.ranges),
        }

    @property
    def rules_digest(self) -> str:
        """sha256 in hex of the settings that decide how a received line is read, validated and dated.

        Without ``text.normalize``: the lake may decide it, and only its pinned settings know the value.
        """
        values = self.model_dump(mode="json", include={"business_day", "late", "currencies", "columns"})
        # Settings of later versions count only where they are used: digests of older lakes stay comparable.
        if self.deliveries:
            values["deliveries"] = [profile.pinned for profile in self.deliveries]
        if set(self.nulls) != {""}:
            values["nulls"] = sorted(self.nulls)
        if self.landing.ignore:
            values["ignore"] = list(self.landing.ignore)
        if self.contract.columns:
            values["contract"] = self.contract.pinned
        if self.rules:
            values["rules"] = {rule.name: rule.as_json() for rule in self.own_rules}
        return _sha256(values)

    @property
    def digest(self) -> str:
        """sha256 in hex of all settings except ``storage``, ``notify`` and ``report``."""
        return _sha256(self.model_dump(mode="json", exclude={"storage", "notify", "report"}))

    def changes(self) -> list[tuple[str, Any, Any]]:
        """Returns the settings that differ from the defaults, as (dotted key, value, default)."""
        defaults = _flat(load_settings(None, [], {}).model_dump(mode="json"))
        values = _flat(self.model_dump(mode="json"))
        return [(key, value, defaults[key]) for key, value in values.items() if value != defaults[key]]


def _read_stores(path: str) -> Any:
    try:
        return read_yaml(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"file {path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"file {path}: not YAML: {' '.join(str(error).split())}") from None


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted key; a mapping with keys of the user's choice stays one value."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and name not in _OPEN_KEYS:
            flat |= {f"{name}.{key}": part for key, part in value.items()}
        else:
            flat[name] = value
    return flat


def _check_read_once(names: Mapping[str, str], where: str = "") -> None:
    readers: dict[str, str] = {}
    for name, received in names.items():
        if received in readers:
            raise ValueError(f"{where}{_read_twice(readers[received], name, received)}")
        readers[received] = name


def _read_twice(first: str, second: str, received: str) -> str:
    # A column without a mapping keeps its own name, so the user may have mapped only one of the two.
    return (
        f"{first} and {second} would both be read from the same received name {received!r}; "
        f"give each its own, for example {{{first}: {first}_name, {second}: {second}_name}}"
    )


def _sha256(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _code(currency: str | PastCurrency) -> str:
    return currency if isinstance(currency, str) else currency.code


def _scale(code: str) -> int:
    scale = currency_scale(code)
    if scale is None or scale > _MAX_SCALE:
        raise ValueError(f"{code!r} is not a currency with at most {_MAX_SCALE} decimals")
    return scale


def load_settings(
    config: str | None, assignments: Sequence[str], storage: Mapping[str, str | None]
) -> Settings:
    """Merges the defaults, a config file, ``--set`` values and the command line's storage, in this order.

    Args:
        config: path of a YAML file with the values that differ from configs/cymbal.yaml; or None.
        assignments: values as ``dotted.key=YAML value``; later ones win.
        storage: ``landing`` and ``lake`` of the command line; None keeps the value of the config.

    Raises:
        UsageError: the file cannot be read, or a key or value is not valid. The message names the key, the
            nearest known key and the valid form.
    """
    values = _read_yaml(DEFAULTS)
    if config is not None:
        _merge(values, _read_yaml(Path(config)), "", config)
    for assignment in assignments:
        _assign(values, assignment)
    for key, value in storage.items():
        if value is not None:
            values["storage"][key] = value
    folder = "." if config is None else Path(config).parent
    try:
        # Other keys may name the team's own columns: these come first.
        own = Contract.model_validate(values["contract"]) if isinstance(values["contract"], dict) else None
    except ValidationError as error:
        raise UsageError(_first_problem(error, config, ("contract",))) from None
    try:
        with contract_with(own.received if own else ()):
            return Settings.model_validate(values, context={FOLDER: folder})
    except ValidationError as error:
        raise UsageError(_first_problem(error, config)) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"config file {path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"config file {path}: not YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(f"config file {path}: must be a mapping of keys, such as 'late: {{days: 7}}'")
    return content


# The user chooses the keys of these mappings: stores, rules, tables, and columns, which a validator checks.
_OPEN_KEYS = frozenset(
    {"business_day.store_timezones", "columns", "contract.columns", "gold", "rules", "stores.gapless"}
)


def _merge(values: dict[str, Any], changes: Mapping[str, Any], prefix: str, source: str) -> None:
    for key, value in changes.items():
        name = f"{prefix}{key}"
        if key not in values:
            raise UsageError(f"{source}: unknown config key {name!r}{_nearest(name, _known_keys())}")
        if isinstance(values[key], dict) and isinstance(value, dict) and name not in _OPEN_KEYS:
            _merge(values[key], value, f"{name}.", source)
        else:
            values[key] = value


def _assign(values: dict[str, Any], assignment: str) -> None:
    key, separator, text = assignment.partition("=")
    if not separator:
        raise UsageError(f"--set {assignment!r}: must be of the form key=value, such as late.days=7")
    try:
        value = read_yaml(text)
    except (yaml.YAMLError, RecursionError):
        raise UsageError(f"--set {assignment!r}: the value is not YAML") from None
    changes: Any = value
    for part in reversed(key.strip().split(".")):
        changes = {part: changes}
    _merge(values, changes, "", "--set")


def _known_keys() -> list[str]:
    known = []
    for group, field in Settings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            known += [f"{group}.{name}" for name in model.model_fields]
        else:
            known.append(group)
    return known


def _nearest(name: str, known: Sequence[str]) -> str:
    """Suggests a known name: one with the same last part, or else the most similar one."""
    by_end = [candidate for candidate in known if candidate.rpartition(".")[2] == name.rpartition(".")[2]]
    near = by_end or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"


def _first_problem(error: ValidationError, config: str | None, within: Sequence[str] = ()) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in (*within, *problem["loc"]))
    text = problem["msg"].removeprefix("Value error, ")
    if not key:  # of several keys, which the text names
        return f"{config or 'config'}: {text}"
    other_problems = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    source = config or "config"
    given = str(problem["input"])
    # An address of a receiver, put here by mistake, is a secret.
    is_secret = (key.startswith("notify") and "://" in given) or holds_secret(given)
    value = "an address" if is_secret else repr(problem["input"])
    return f"{source}: {key} = {value}: {text}{other_problems}"
