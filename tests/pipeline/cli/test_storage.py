"""Storage that fails or belongs to others: told in one line, nothing lost."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from tests.jobs.shop import Shop, line

DATE = "2026-03-02"


def files_below(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def test_a_table_that_is_anothers_is_refused(shop: Shop) -> None:
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"))
    table = shop.lake / "silver" / "sales"
    write_deltalake(str(table), pa.table({"business_date": ["2026-03-02"], "amount": [1.5]}))
    before = files_below(shop.lake)
    ran = shop.run()
    assert ran.code == 2
    assert f"{table} does not match its contract: column business_date is string, must be date" in ran.error
    assert files_below(shop.lake) == before


@pytest.fixture
def small_disk(shop: Shop) -> Iterator[Path]:
    """A disk of 400 kB under the lake."""
    shop.lake.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(shop.lake)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk can only be mounted by root")
    yield shop.lake
    subprocess.run(["umount", "--lazy", str(shop.lake)], check=True)


def test_a_full_disk_is_told_and_loses_nothing(shop: Shop, small_disk: Path) -> None:
    draw = random.Random(3)  # names that do not compress
    lines = [line(str(n), f"{DATE}T15:00:00Z", product_name=draw.randbytes(300).hex()) for n in range(1500)]
    shop.land(DATE, *lines)
    ran = shop.run()
    assert ran.code == 1
    assert "no space left on the disk" in ran.error
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    shop.done()
    assert len(shop.sales("transaction_id")) == 1500
