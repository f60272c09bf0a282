"""The audit of a drop: too many rejects, or not what its manifest says."""

from __future__ import annotations

from decimal import Decimal

from schemas.drops import IngestedDrop, Manifest, ManifestFile


def audit_drop(found: IngestedDrop, max_rejected_share: float) -> str | None:
    """Why a drop is to be blocked, in words; None where it passes.

    Args:
        found: what an ingest found in the drop.
        max_rejected_share: share of its lines that may be rejected.
    """
    return _too_many_rejects(found, max_rejected_share) or _disagreement(found)


def _too_many_rejects(found: IngestedDrop, max_share: float) -> str | None:
    if not found.lines or found.rejected / found.lines <= max_share:
        return None
    share = found.rejected / found.lines
    reasons = ", ".join(f"{reason} {count}" for reason, count in found.reasons.most_common(3))
    return (
        f"{found.rejected} of {found.lines} lines rejected ({share:.2%}, "
        f"audit.max_rejected_share allows {max_share:.2%}): {reasons}"
    )


def _disagreement(found: IngestedDrop) -> str | None:
    for stated in (found.drop.manifest or Manifest()).files:
        problem = _rows_disagree(found, stated) or _amounts_disagree(found, stated)
        if problem is not None:
            return problem
    return None


def _rows_disagree(found: IngestedDrop, stated: ManifestFile) -> str | None:
    read = found.file_lines[stated.name]
    if stated.rows is None or stated.rows == read:
        return None
    return f"manifest says {stated.rows} rows in {stated.name}, {read} were read"


def _amounts_disagree(found: IngestedDrop, stated: ManifestFile) -> str | None:
    if stated.gross_amount is None:
        return None
    read = found.file_gross.get(stated.name, {})
    for currency in sorted(set(read) | set(stated.gross_amount)):
        said, got = stated.gross_amount.get(currency, Decimal(0)), read.get(currency, Decimal(0))
        if said != got:
            return f"manifest says gross_amount {said} {currency} in {stated.name}, {got} was read"
    return None
