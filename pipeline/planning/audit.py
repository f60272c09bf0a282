"""Audits a drop: it must not have too many rejects and must agree with its manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

from schemas.drops import IngestedDrop, Manifest, ManifestFile
from schemas.states import DropReason

# The usual size of a drop is the median of so many drops of its weekday, if there are enough of them.
_WEEKS, _FEWEST_WEEKS = 8, 4
# A share of fewer lines says nothing.
_FEWEST_LINES = 20


@dataclass(frozen=True)
class Refusal:
    """Why an audit refuses a delivery: a code for later runs, and a text for people."""

    code: DropReason
    text: str


def audit_drop(ingested: IngestedDrop, max_rejected_share: float) -> Refusal | None:
    """Returns why a drop must be blocked; None if it passes.

    Args:
        ingested: the drop as ingested.
        max_rejected_share: largest allowed share of rejected lines, from 0 to 1.
    """
    rejects = _too_many_rejects(ingested, max_rejected_share)
    if rejects is not None:
        return Refusal(DropReason.REJECTED_LINES, rejects)
    disagreement = _disagreement(ingested)
    return None if disagreement is None else Refusal(DropReason.CONTROL_TOTALS, disagreement)


def audit_size(
    ingested: IngestedDrop, previous: int, of_weekday: Sequence[int], min_share: float
) -> Refusal | None:
    """Returns why a drop is too small to be whole; None if it is not, or if its manifest states its rows.

    Args:
        ingested: the drop as ingested.
        previous: accepted lines of the delivery that it replaces; 0 if there is none.
        of_weekday: accepted lines of earlier drops of the same weekday, latest last.
        min_share: smallest allowed share of the usual lines, from 0 to 1.
    """
    if _is_confirmed(ingested):
        return None
    latest = of_weekday[-_WEEKS:]
    usual = previous or (median(latest) if len(latest) >= _FEWEST_WEEKS else 0)
    if usual < _FEWEST_LINES or ingested.accepted >= min_share * usual:
        return None
    what = "the delivery that it replaces holds" if previous else "drops of its weekday usually hold"
    text = (
        f"{ingested.accepted:,} accepted lines, {what} {usual:,.0f} (audit.min_share_of_previous asks for "
        f"{min_share:.2%}): if it is whole, state the rows of its files in a manifest, or give --accept "
        f"{ingested.drop.date}"
    )
    return Refusal(DropReason.SMALL_DELIVERY, text)


def _is_confirmed(ingested: IngestedDrop) -> bool:
    manifest = ingested.drop.manifest or Manifest()
    # A trailer confirms its own file alone, and says nothing of a file that is gone.
    of_manifest = [file for file in manifest.files if file.stated_by == "manifest"]
    stated = {file.name for file in of_manifest if file.rows is not None}
    names = {file.name for file in ingested.drop.files}
    return names <= stated if names else manifest.closed


def _too_many_rejects(ingested: IngestedDrop, max_share: float) -> str | None:
    if not ingested.lines or ingested.rejected / ingested.lines <= max_share:
        return None
    share = ingested.rejected / ingested.lines
    reasons = ", ".join(f"{reason} {count}" for reason, count in ingested.reasons.most_common(3))
    return (
        f"{ingested.rejected} of {ingested.lines} lines rejected ({share:.2%}, "
        f"audit.max_rejected_share allows {max_share:.2%}): {reasons}"
    )


def _disagreement(ingested: IngestedDrop) -> str | None:
    for stated in (ingested.drop.manifest or Manifest()).files:
        problem = _rows_disagree(ingested, stated) or _amounts_disagree(ingested, stated)
        if problem is not None:
            return problem
    return None


def _rows_disagree(ingested: IngestedDrop, stated: ManifestFile) -> str | None:
    read = ingested.file_lines[stated.name]
    if stated.rows is None or stated.rows == read:
        return None
    return f"{stated.stated_by} says {stated.rows} rows in {stated.name}, {read} were read"


def _amounts_disagree(ingested: IngestedDrop, stated: ManifestFile) -> str | None:
    if stated.gross_amount is None:
        return None
    read = ingested.file_gross.get(stated.name, {})
    for currency in sorted(set(read) | set(stated.gross_amount)):
        expected, actual = stated.gross_amount.get(currency, Decimal(0)), read.get(currency, Decimal(0))
        by, name = stated.stated_by, stated.name
        if expected != actual:
            return f"{by} says gross_amount {expected} {currency} in {name}, {actual} was read"
    return None
