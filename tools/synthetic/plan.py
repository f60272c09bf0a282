"""The plan of a synthetic landing: the share of each kind of line, and the checks of a plan."""

from __future__ import annotations

import itertools
import zoneinfo
from datetime import date, timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.landing import RECEIVED_COLUMNS
from tools.synthetic.catalogue import LETTERS, read_range

Format = Literal["csv", "csv.gz", "json"]

# Decimals of a currency's amounts (ISO 4217).
CURRENCY_SCALES: dict[str, int] = {
    "AUD": 2, "BHD": 3, "BRL": 2, "CAD": 2, "CHF": 2, "CLP": 0, "CNY": 2, "CZK": 2, "DKK": 2, "EUR": 2,
    "GBP": 2, "INR": 2, "ISK": 0, "JOD": 3, "JPY": 0, "KRW": 0, "KWD": 3, "MXN": 2, "NOK": 2, "NZD": 2,
    "OMR": 3, "PLN": 2, "SEK": 2, "SGD": 2, "TND": 3, "TRY": 2, "USD": 2, "VND": 0, "ZAR": 2,
}  # fmt: skip

_KINDS_WITH_FORM = ("integer", "timestamp", "line_type", "quantity", "amount", "currency")

REJECT_REASONS: tuple[str, ...] = (
    "malformed_line",
    *(f"missing_{column.name}" for column in RECEIVED_COLUMNS if column.required),
    *(f"bad_{column.name}" for column in RECEIVED_COLUMNS if column.kind in _KINDS_WITH_FORM),
    *(f"excess_scale_{column.name}" for column in RECEIVED_COLUMNS if column.kind in ("quantity", "amount")),
    "zero_quantity",
    "sign_mismatch",
    "discount_exceeds_gross",
    "future_sale",
    "currency_not_allowed",
)

# Lines with two reasons at once, joined by a plus.
REJECT_PAIRS: tuple[str, ...] = (
    "missing_store_id+zero_quantity",
    "bad_quantity+currency_not_allowed",
    "bad_line_number+discount_exceeds_gross",
)

REJECT_KINDS: tuple[str, ...] = REJECT_REASONS + REJECT_PAIRS

_PAIR_WEIGHT = 0.5

Share = Annotated[float, Field(ge=0.0, le=1.0)]

_LINES_PER_AUTOMATIC_FILE = 500_000


def _default_rejects() -> dict[str, float]:
    return dict.fromkeys(REJECT_REASONS, 1.0) | dict.fromkeys(REJECT_PAIRS, _PAIR_WEIGHT)


class SyntheticPlan(BaseModel):
    """What to generate. Each share is a probability drawn per line, so the actual share is close to it.

    The same plan gives the same bytes on any machine and with any number of partitions.

    Attributes:
        seed: seed of all draws; another seed gives other lines.
        rows: base lines; each is delivered once, rejected or not. Copies are additional.
        first_date: first sale date.
        last_date: last sale date.
        last_drop_date: date of the last drop; ``last_date`` unless set. A delivery that would come later
            comes on time instead, and a copy that would come later is left out. A later date gives drops
            with only late lines: many of these are conflicts, so an audit may block them.
        timezone: zone whose date of ``sold_at`` is the sale date.
        stores: number of stores; transaction numbers repeat from store to store.
        customers: number of customers, not counting walk-ins.
        walk_in_share: share of transactions without a customer.
        hot_customer_share: share of transactions by one hot customer.
        letter_skew: share of lines whose product name starts with ``hot_letter``.
        hot_letter: the hot letter.
        hot_product_share: share of lines of one hot product; part of ``letter_skew``.
        other_share: share of names that are empty or do not start with a Latin letter.
        accented_share: share of names whose first letter has an accent or another form.
        quoted_share: share of names with commas and quotes inside.
        ranges: chunk ranges of the truth.
        reject_share: share of base lines that must be rejected.
        rejects: weight of each kind of rejected line: a reason, or two joined by ``+``.
        duplicate_share: share of base lines delivered again, equal, within ``late_days``.
        conflict_share: share of base lines delivered again with another payload within ``late_days``.
        late_share: share delivered 1 to ``late_days`` days after the sale.
        very_late_share: share first delivered later than that: adjustments.
        late_resend_share: share delivered again later than ``late_days`` after the sale.
        late_resend_changed_share: share of late resends with another payload.
        late_days: days after the sale up to which a line still belongs to its sale date.
        return_share: share of lines that are returns.
        discount_share: share of lines with a discount.
        currencies: weight of each currency.
        files_per_drop: files per drop; 0: by its size, at least 2.
        formats: formats of the files, in turn.
        untidy_share: share of lines with padded fields or a plus sign.
        manifests: whether each drop gets a ``manifest.json``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 1
    rows: int = Field(default=100_000, ge=0)
    first_date: date = date(2026, 10, 15)
    last_date: date = date(2026, 11, 13)
    last_drop_date: date | None = None
    timezone: str = "America/New_York"
    stores: int = Field(default=50, ge=1)
    customers: int = Field(default=10_000, ge=1)
    walk_in_share: Share = 0.3
    hot_customer_share: Share = 0.0
    letter_skew: Share = 0.0
    hot_letter: str = "S"
    hot_product_share: Share = 0.0
    other_share: Share = 0.02
    accented_share: Share = 0.02
    quoted_share: Share = 0.02
    ranges: tuple[str, ...] = ("A-G", "H-N", "O-U", "V-Z")
    reject_share: Share = 0.01
    rejects: dict[str, Annotated[float, Field(ge=0.0)]] = Field(default_factory=_default_rejects)
    duplicate_share: Share = 0.01
    conflict_share: Share = 0.002
    late_share: Share = 0.03
    very_late_share: Share = 0.005
    late_resend_share: Share = 0.003
    late_resend_changed_share: Share = 0.3
    late_days: int = Field(default=7, ge=0, le=365)
    return_share: Share = 0.05
    discount_share: Share = 0.25
    currencies: dict[str, Annotated[float, Field(gt=0.0)]] = Field(
        default_factory=lambda: {"USD": 0.7, "JPY": 0.2, "KWD": 0.1}
    )
    files_per_drop: int = Field(default=0, ge=0, le=1000)
    formats: tuple[Format, ...] = Field(default=("csv", "csv.gz", "json"), min_length=1)
    untidy_share: Share = 0.02
    manifests: bool = True

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is not a time zone by name, as 'America/New_York'") from error
        return value

    @field_validator("hot_letter")
    @classmethod
    def _one_letter(cls, value: str) -> str:
        if len(value) != 1 or value not in LETTERS:
            raise ValueError(f"{value!r} is not one capital letter from A to Z")
        return value

    @field_validator("ranges")
    @classmethod
    def _ordered_ranges(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        ranges = [read_range(text) for text in value]
        for before, after in itertools.pairwise(ranges):
            if before.holds(after.first) or after.first <= before.first:
                raise ValueError(f"{before.label!r} and {after.label!r} overlap or are out of order")
        return value

    @field_validator("rejects")
    @classmethod
    def _known_kinds(cls, value: dict[str, float]) -> dict[str, float]:
        for kind in value:
            if kind not in REJECT_KINDS:
                raise ValueError(
                    f"{kind!r} is no kind of rejected line; the kinds are {', '.join(REJECT_KINDS)}"
                )
        return value

    @field_validator("currencies")
    @classmethod
    def _known_currencies(cls, value: dict[str, float]) -> dict[str, float]:
        if not value:
            raise ValueError("at least one currency with its weight is needed, as {'USD': 1.0}")
        for code in value:
            if code not in CURRENCY_SCALES:
                raise ValueError(f"{code!r} is not a known currency; known are {', '.join(CURRENCY_SCALES)}")
        return value

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.last_date < self.first_date:
            raise ValueError(f"last_date {self.last_date} is before first_date {self.first_date}")
        if self.last_drop_date is not None and self.last_drop_date < self.last_date:
            raise ValueError(f"last_drop_date {self.last_drop_date} is before last_date {self.last_date}")
        for names in (
            ("reject_share", "duplicate_share", "conflict_share", "late_resend_share"),
            ("late_share", "very_late_share"),
            ("walk_in_share", "hot_customer_share"),
            ("letter_skew", "other_share", "accented_share"),
        ):
            total = sum(getattr(self, name) for name in names)
            if total > 1.0 + 1e-9:
                raise ValueError(f"{' + '.join(names)} is {total:g}; together they may be at most 1")
        if self.hot_product_share > self.letter_skew:
            raise ValueError(
                f"hot_product_share {self.hot_product_share:g} is part of letter_skew {self.letter_skew:g}: "
                "it may be at most that"
            )
        if self.reject_share > 0 and not any(self.rejects.values()):
            raise ValueError("rejects gives no kind a weight above 0, but reject_share is above 0")
        if self.late_share > 0 and self.late_days == 0:
            raise ValueError("late_share must be 0 if late_days is 0: no line can be late within 0 days")
        return self

    @property
    def days(self) -> int:
        """Number of sale dates."""
        return (self.last_date - self.first_date).days + 1

    @property
    def last_drop(self) -> date:
        """Date of the last drop."""
        return self.last_drop_date or self.last_date

    @property
    def drops(self) -> tuple[date, ...]:
        """Every date that may have a drop."""
        return tuple(
            self.first_date + timedelta(days=n) for n in range((self.last_drop - self.first_date).days + 1)
        )

    @property
    def files(self) -> int:
        """Number of files per drop."""
        if self.files_per_drop:
            return self.files_per_drop
        return min(1000, max(2, -(-self.rows // (self.days * _LINES_PER_AUTOMATIC_FILE))))

    @property
    def foreign_currency(self) -> str:
        """A real currency of two decimals that is not among the plan's, for ``currency_not_allowed``."""
        return next(
            code
            for code in ("CHF", "SEK", "NOK", "DKK", *CURRENCY_SCALES, "XTS")
            if code not in self.currencies and CURRENCY_SCALES.get(code, 2) == 2
        )

    def format_of(self, drop_day: int, file: int) -> Format:
        """The format of a file: the formats in turn, shifted by one from drop to drop."""
        return self.formats[(drop_day + file) % len(self.formats)]

    def file_name(self, drop_day: int, file: int) -> str:
        """The name of a file; names sort by file number."""
        return f"sales-{file:03d}.{self.format_of(drop_day, file)}"
