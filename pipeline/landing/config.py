"""What the config says of a landing: which files are read, and as what."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.landing.formats import FORMATS
from pipeline.landing.formats.base import Form
from pipeline.profiles import DeliveryProfile, contract_profile, matches_any
from schemas.landing import MANIFEST_NAME, received_names
from transforms.delivered import FieldForms


@dataclass(frozen=True)
class LandingConfig:
    """The settings that decide how a landing is read.

    Attributes:
        columns: received names that differ from the contract, by contract name.
        profiles: delivery profiles; the first that matches a file's name is its own.
        ignore: patterns of file names that are left out.
        nulls: texts that stand for nothing, where a profile names none.
        is_normalized: whether texts are brought into normal form C.
        last_date: latest drop date that may be read; None for any.
        time_zone: IANA zone of every store without its own zone.
        store_time_zones: IANA zone by store_id.
        currency_scales: number of decimals of each allowed currency.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    profiles: tuple[DeliveryProfile, ...] = ()
    ignore: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ()
    is_normalized: bool = False
    last_date: dt.date | None = None
    time_zone: str = "America/New_York"
    store_time_zones: Mapping[str, str] = field(default_factory=dict)
    currency_scales: Mapping[str, int] = field(default_factory=dict)

    @property
    def received_names(self) -> dict[str, str]:
        """Name under which each contract column is received, without a profile."""
        return {name: self.columns.get(name, name) for name in received_names()}

    def is_ignored(self, name: str) -> bool:
        """Whether a file is left out by the config's own word. A manifest never is."""
        return name != MANIFEST_NAME and matches_any(name, self.ignore)

    def profile_of(self, name: str) -> DeliveryProfile | None:
        """The profile of a file; None if no ingest reads it."""
        return next((p for p in self.profiles if p.matches(name)), None) or contract_profile(name)

    def form_of(self, profile: DeliveryProfile) -> Form:
        """How the files of a profile are read."""
        nulls = self.nulls if profile.nulls is None else profile.nulls
        forms = FieldForms(
            nulls=tuple(text for text in nulls if text),
            values=profile.values,
            constants=profile.constants,
            decimal=profile.decimal,
            thousands=profile.thousands,
            timestamp=profile.timestamp,
            local_time=profile.local_time,
            ambiguous=profile.ambiguous,
            is_signless=profile.sign == "by_line_type",
            time_zone=self.time_zone,
            store_time_zones=self.store_time_zones,
            currency_scales=self.currency_scales,
        )
        return FORMATS[profile.format](profile, profile.received_names(dict(self.columns)), forms)
