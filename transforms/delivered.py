"""Brings the fields of a delivery profile into the contract's form: text in, text out, before any check.

A value that is not of the profile's form comes out as no valid form of the contract either, so that the rules
reject its line. Nothing is rounded, and no value is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.landing import RETURN, names_of, received_names
from transforms.business_day import store_time_zone
from transforms.fields import trimmed

_ORIGIN = ("malformed_text", "drop_date", "source_file")
_CONTRACT_TIME = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"
# A time of the contract without its offset.
_LOCAL_FORM = r"^[12]\d{3}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?\z"
_DAY_IN_MICROSECONDS = 86_400_000_000
# Spreadsheets and statements write several kinds of blank between thousands.
_BLANKS = " \u00a0\u202f\u2009"


@dataclass(frozen=True)
class FieldForms:
    """How the fields of a delivery are written, where not as the contract says.

    Attributes:
        nulls: texts that stand for nothing, besides the empty one.
        values: contract value by received value, by column; an empty received value stands for nothing.
        constants: value of each column that the file lacks; empty for nothing.
        decimal: decimal point.
        thousands: separator of thousands; empty for none.
        timestamp: pattern of sold_at; None for the contract's form.
        local_time: whether sold_at has no offset and is a time on the store's clock.
        ambiguous: which instant a time of the hour that clocks repeat is: earlier, later, or reject.
        is_signless: whether amounts of returns come without their sign.
        time_zone: IANA zone of every store without its own zone.
        store_time_zones: IANA zone by store_id.
        currency_scales: number of decimals of each allowed currency, by ISO 4217 code.
    """

    nulls: tuple[str, ...] = ()
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    decimal: str = "."
    thousands: str = ""
    timestamp: str | None = None
    local_time: bool = False
    ambiguous: str = "reject"
    is_signless: bool = False
    time_zone: str = "UTC"
    store_time_zones: Mapping[str, str] = field(default_factory=dict)
    currency_scales: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_contract(self) -> bool:
        """Whether there is nothing to bring into the contract's form."""
        return not (
            self.nulls
            or self.values
            or self.constants
            or self.decimal != "."
            or self.thousands
            or self.timestamp
            or self.local_time
            or self.is_signless
        )


def in_contract_form(delivered: DataFrame, forms: FieldForms) -> DataFrame:
    """Brings delivered fields into the contract's form.

    Args:
        delivered: the received columns as text under their contract names, ``malformed_text``, ``drop_date``
            and ``source_file``; one row a line.
        forms: how they are written.

    Returns:
        The same columns and rows.
    """
    if forms.is_contract:
        return delivered
    texts = {name: contract_value(name, forms) for name in received_names()}
    plain = delivered.select(*[text.alias(name) for name, text in texts.items()], *_ORIGIN)
    changed = {name: plain_decimal(F.col(name), forms) for name in names_of("quantity", "amount")}
    changed |= {name: _repointed_by(F.col(name), forms) for name in names_of("decimal")}
    changed |= {name: _moment(F.col(name), forms) for name in names_of("timestamp")}
    return plain.select(*[changed.get(name, F.col(name)).alias(name) for name in texts], *_ORIGIN)


def contract_value(name: str, forms: FieldForms) -> Column:
    """text: the field, with words for nothing as null, and with the values that the profile maps."""
    if name in forms.constants:
        return F.lit(forms.constants[name] or None).cast("string")
    text = F.col(name)
    key = trimmed(text)
    if forms.nulls:
        text = F.when(~key.isin(list(forms.nulls)), text)
        key = trimmed(text)
    for received, value in forms.values.get(name, {}).items():
        is_value = key == received if received else key.isNull()
        text = F.when(is_value, F.lit(value)).otherwise(text)
    return text


def plain_decimal(text: Column, forms: FieldForms) -> Column:
    """text: a number with a point and without separators, signed by its line's type if it had no sign."""
    number = _repointed_by(text, forms)
    if forms.is_signless:
        is_return = F.coalesce(trimmed(F.col("line_type")) == RETURN, F.lit(False))
        bare = F.regexp_replace(trimmed(number), r"^\+", "")
        number = F.when(is_return & ~bare.startswith("-"), F.concat(F.lit("-"), bare)).otherwise(number)
    return number


def _repointed_by(text: Column, forms: FieldForms) -> Column:
    """text: a number with a point and without separators; another text is marked as none."""
    if forms.decimal == "." and not forms.thousands:
        return text
    return _repointed(trimmed(text), forms)


def decimal_form(decimal: str, thousands: str) -> str:
    """Pattern of a number that is written with a decimal point and a separator of thousands, empty for none.

    No group of thousands begins with a zero: 0.500 is a half, written with another decimal point.
    """
    between = _between(thousands)
    whole = rf"[1-9]\d{{0,2}}(?:{between}\d{{3}})+|\d+" if thousands else r"\d+"
    return rf"[+-]?(?:{whole})(?:{re.escape(decimal)}\d+)?"


def without_separators(text: str, decimal: str, thousands: str) -> str:
    """A number of :func:`decimal_form` with a point and without separators."""
    bare = re.sub(_between(thousands), "", text) if thousands else text
    return bare.replace(decimal, ".")


def _between(thousands: str) -> str:
    return f"[{_BLANKS}]" if thousands == " " else re.escape(thousands)


def _repointed(text: Column, forms: FieldForms) -> Column:
    between = _between(forms.thousands)
    form = rf"^{decimal_form(forms.decimal, forms.thousands)}\z"
    bare = F.regexp_replace(text, between, "") if forms.thousands else text
    pointed = F.replace(bare, F.lit(forms.decimal), F.lit("."))
    # With the mark, no form of the contract fits: 12.34 is no number where the decimal point is a comma.
    return F.when(text.rlike(form), pointed).otherwise(F.concat(text, F.lit(f" (decimal: {forms.decimal})")))


def _moment(text: Column, forms: FieldForms) -> Column:
    """text: an instant in the contract's form; a text that is none stays as it is, and is rejected."""
    if forms.timestamp is None and not forms.local_time:
        return text
    key = trimmed(text)
    if forms.timestamp is None:
        read = F.when(key.rlike(_LOCAL_FORM), F.replace(key, F.lit(" "), F.lit("T")).try_cast("timestamp"))
    else:
        read = F.try_to_timestamp(key, F.lit(forms.timestamp))
    if not forms.local_time:
        return F.coalesce(F.date_format(read, _CONTRACT_TIME), _refused(key, forms))
    zone = store_time_zone(trimmed(F.col("store_id")), forms.time_zone, forms.store_time_zones)
    instant = instant_of(read, zone, forms.ambiguous)
    return F.coalesce(F.date_format(instant, _CONTRACT_TIME), _refused(key, forms))


def _refused(text: Column, forms: FieldForms) -> Column:
    """text: the field as it came; with a mark where it would be valid by the contract's own form."""
    return text if forms.timestamp is None else F.concat(text, F.lit(f" (timestamp: {forms.timestamp})"))


def instant_of(local: Column, zone: Column, ambiguous: str) -> Column:
    """timestamp: the instant at which a store's clock shows a local time; null if no instant or two do.

    Where clocks are put back, an hour is shown twice: ``ambiguous`` says which is meant. Where they are put
    forward, an hour is never shown.

    Args:
        local: timestamp, the local time taken as UTC.
        zone: text, IANA zone.
        ambiguous: earlier, later, or reject.
    """
    micros = F.unix_micros(local)
    # No zone changes its offset twice within two days, so the offsets of the days around are all there are.
    before, after = _instant_by_offset_at(micros, -1, zone), _instant_by_offset_at(micros, 1, zone)
    is_before, is_after = _shows(before, micros, zone), _shows(after, micros, zone)
    # If both show it, they are equal unless the hour is repeated.
    if ambiguous == "earlier":
        twice = F.least(before, after)
    elif ambiguous == "later":
        twice = F.greatest(before, after)
    else:
        twice = F.when(before == after, before)
    found = F.when(is_before & is_after, twice).when(is_before, before).when(is_after, after)
    return F.timestamp_micros(found)


def _instant_by_offset_at(micros: Column, days: int, zone: Column) -> Column:
    """bigint: the instant of a local time by the offset that is in force some days from it."""
    then = micros + F.lit(days * _DAY_IN_MICROSECONDS)
    offset = F.unix_micros(F.from_utc_timestamp(F.timestamp_micros(then), zone)) - then
    return micros - offset


def _shows(instant: Column, micros: Column, zone: Column) -> Column:
    """boolean: whether clocks of the zone show a local time at an instant."""
    return F.unix_micros(F.from_utc_timestamp(F.timestamp_micros(instant), zone)) == micros
