"""Events on the straight path: without trouble, a lake comes to what the reference says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.model.deliveries import DROPS, sold
from tests.model.machine import SalesMachine

S, NEXT, LATE, TOO_LATE, LAST = DROPS


@pytest.fixture
def state(spark: SparkSession, tmp_path: Path) -> Iterator[SalesMachine]:
    SalesMachine.spark, SalesMachine.folder = spark, tmp_path
    state = SalesMachine()
    yield state
    state.teardown()


def test_late_lines_resends_conflicts_and_adjustments(state: SalesMachine) -> None:
    x, y, evening = sold(0, 1, "1042", 0), sold(0, 2, "1042", 0), sold(0, 3, "1042", 0)
    other_y, foreign = sold(0, 2, "1042", 1), sold(1, 1, "2", 2)
    state.deliver(drop=S, first=[x, x, y, evening], second=[other_y], kind="good")
    state.deliver(drop=NEXT, first=[sold(1, 1, "1042", 0), x, foreign], second=[], kind="good")
    state.run_batch(strict=False)
    state.deliver(drop=TOO_LATE, first=[x, other_y, sold(1, 2, "1042", 1)], second=[], kind="good")
    state.deliver(drop=LAST, first=[sold(1, 2, "1042", 1), sold(1, 2, "2", 0)], second=[], kind="good")
    state.run_batch(strict=False)
    state.run_again()
    state.deliver_again(data=S, drop=S, change="without first", kind="good")
    state.deliver_again(data=NEXT, drop=LATE, change="payload", kind="good")
    state.run_batch(strict=False)
    state.verify()
