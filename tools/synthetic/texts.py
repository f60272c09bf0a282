"""The text of a line: CSV according to RFC 4180, or JSON."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.landing import RECEIVED_NAMES
from tools.synthetic.draws import Draws
from tools.synthetic.fields import CUT, LONG, spoiling
from tools.synthetic.plan import SyntheticPlan
from tools.synthetic.values import NOT_REJECTED, is_kind

CSV_HEADER = ",".join(RECEIVED_NAMES)

_NUMBERS = ("line_number", "quantity", "gross_amount", "discount_amount")

# The only fields whose text may need quotes in CSV or an escape in JSON.
_FREE_TEXT = ("sold_at", "product_name", "quantity", "gross_amount", "discount_amount")

_JUNK = "~~ printer test page ~~"


def csv_line(plan: SyntheticPlan) -> Column:
    """The line as CSV; a malformed line has too few or too many fields."""
    fields = [_csv_field(name) if name in _FREE_TEXT else F.col(name) for name in RECEIVED_NAMES]
    whole = F.concat_ws(",", *fields)
    cut = F.when(F.pmod(F.col("id"), F.lit(4)) == 0, F.lit(_JUNK)).otherwise(F.concat_ws(",", *fields[:-2]))
    spoilt = F.when(spoiling(plan) == CUT, cut).when(spoiling(plan) == LONG, F.concat(whole, F.lit(",again")))
    return F.when(is_kind("malformed_line"), spoilt.otherwise(whole)).otherwise(whole)


def json_line(plan: SyntheticPlan) -> Column:
    """The line as JSON. Numbers are JSON numbers in half of the lines, else texts.

    A malformed line is cut short.
    """
    draws = Draws(plan.seed)
    line, copy = F.col("id"), F.col("copy")
    as_numbers = (
        draws.chance("plain numbers", 0.5, line, copy)
        & (F.col("kind") == NOT_REJECTED)
        & (F.col("untidy") == -1)
    )
    empty_as_null = draws.chance("empty as null", 0.5, line, copy)
    empty = F.when(empty_as_null, F.lit("null")).otherwise(F.lit('""'))
    parts: list[Column] = []
    for number, name in enumerate(RECEIVED_NAMES):
        quoted = _json_text(name)
        if name in _NUMBERS:
            quoted = F.when(as_numbers, F.col(name)).otherwise(quoted)
        parts.append(F.lit(f'{"," if number else "{"}"{name}":'))
        parts.append(F.when(F.col(name) == "", empty).otherwise(quoted))
    whole = F.concat(*parts, F.lit("}"))
    half = F.substring(whole, F.lit(1), F.expr(f"{len(CSV_HEADER) // 2} + cast(pmod(id, 90) as int)"))
    is_cut = is_kind("malformed_line") & spoiling(plan).isin(CUT, LONG)
    return F.when(is_cut, half).otherwise(whole)


def _csv_field(name: str) -> Column:
    field = F.col(name)
    needs_quotes = F.contains(field, F.lit(",")) | F.contains(field, F.lit('"'))
    quoted = F.concat(F.lit('"'), F.replace(field, F.lit('"'), F.lit('""')), F.lit('"'))
    return F.when(needs_quotes, quoted).otherwise(field)


def _json_text(name: str) -> Column:
    field = F.col(name)
    if name in _FREE_TEXT:
        field = F.replace(F.replace(field, F.lit("\\"), F.lit("\\\\")), F.lit('"'), F.lit('\\"'))
    return F.concat(F.lit('"'), field, F.lit('"'))
