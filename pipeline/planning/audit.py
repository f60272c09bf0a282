"""Audits a drop: it must not have too many rejects and must agree with its manifest."""

from __future__ import annotations

from decimal import Decimal

from schemas.drops import IngestedDrop, Manifest, ManifestFile


def audit_drop(ingested: IngestedDrop, max_rejected_share: float) -> str | None:
    """Returns why a drop must be blocked; None if it passes.

    Args:
        ingested: the drop as ingested.
        max_rejected_share: largest allowed share of rejected lines, from 0 to 1.
    """
    return _too_many_rejects(ingested, max_rejected_share) or _disagreement(ingested)


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
    return f"manifest says {stated.rows} rows in {stated.name}, {read} were read"


def _amounts_disagree(ingested: IngestedDrop, stated: ManifestFile) -> str | None:
    if stated.gross_amount is None:
        return None
    read = ingested.file_gross.get(stated.name, {})
    for currency in sorted(set(read) | set(stated.gross_amount)):
        expected, actual = stated.gross_amount.get(currency, Decimal(0)), read.get(currency, Decimal(0))
        if expected != actual:
            return f"manifest says gross_amount {expected} {currency} in {stated.name}, {actual} was read"
    return None
