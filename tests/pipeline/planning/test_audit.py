"""What confirms a small delivery: a manifest, and no trailer, which says nothing of a file that is gone."""

from __future__ import annotations

import datetime as dt

import pytest

from pipeline.planning.audit import audit_size
from schemas.drops import Drop, IngestedDrop, LandedFile, Manifest, ManifestFile
from schemas.states import DropReason


@pytest.mark.parametrize(("stated_by", "is_refused"), [("manifest", False), ("trailer", True)])
def test_only_a_manifest_confirms_a_small_delivery(stated_by: str, is_refused: bool) -> None:
    stated = ManifestFile("a.dat", 10, None, stated_by=stated_by)
    drop = Drop(dt.date(2026, 3, 2), (LandedFile("a.dat", "", 1, ""),), Manifest(files=(stated,)))
    refusal = audit_size(IngestedDrop(drop, lines=10, accepted=10), 50, (), 0.5)
    assert (refusal is not None and refusal.code is DropReason.SMALL_DELIVERY) is is_refused
