"""Orders of events that once broke a law, each by the steps that showed it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.model.deliveries import DROPS, sold
from tests.model.machine import SalesMachine

S, NEXT, LATE, TOO_LATE, LAST = DROPS
X, Y = sold(0, 1, "1042", 0), sold(0, 2, "1042", 0)

# Whole sequences of runs: with --model, before the long run.
pytestmark = pytest.mark.model


@pytest.fixture
def state(spark: SparkSession, tmp_path: Path) -> Iterator[SalesMachine]:
    SalesMachine.spark, SalesMachine.folder = spark, tmp_path
    state = SalesMachine()
    yield state
    state.teardown()


def test_a_refused_delivery_makes_no_resend_a_sale(state: SalesMachine) -> None:
    state.deliver(drop=S, first=[X, Y], second=[])
    state.run_batch()
    state.deliver(drop=TOO_LATE, first=[X], second=[])
    state.deliver(drop=S, first=[Y], second=[], kind="manifest")
    state.run_batch()


def test_a_refused_delivery_takes_no_adjustment_away(state: SalesMachine) -> None:
    state.deliver(drop=S, first=[Y], second=[])
    state.deliver(drop=TOO_LATE, first=[X], second=[])
    state.run_batch()
    state.deliver(drop=S, first=[X, Y], second=[], kind="manifest")
    state.deliver_again(data=TOO_LATE, drop=TOO_LATE, change="same", kind="good")
    state.run_batch()


def test_a_date_held_back_for_its_conflicts_holds_those_that_it_decides(state: SalesMachine) -> None:
    state.deliver(drop=S, first=[X, Y], second=[])
    state.run_batch()
    state.deliver(drop=TOO_LATE, first=[X], second=[])
    state.deliver(drop=S, first=[Y], second=[sold(0, 2, "1042", 1)])
    state.run_batch(strict=True)


def test_a_date_published_alone_takes_no_line_from_another(state: SalesMachine) -> None:
    state.deliver(drop=S, first=[X, Y], second=[])
    state.deliver(drop=TOO_LATE, first=[X], second=[])
    state.run_batch()
    state.deliver(drop=S, first=[Y], second=[])
    state.run_stage(stage="ingest_sales")
    state.publish_a_date(date=S)


def test_lines_of_a_refused_first_delivery_are_no_earlier_copies(state: SalesMachine) -> None:
    state.deliver(drop=S, first=[X, Y], second=[], kind="manifest")
    state.run_batch()
    state.deliver(drop=TOO_LATE, first=[X, Y], second=[])
    state.run_batch_of_a_drop(drop=TOO_LATE)


@pytest.mark.parametrize("kind", ["late_days", "zone"])
def test_other_settings_are_refused_without_a_word_on_what_to_do(state: SalesMachine, kind: str) -> None:
    state.deliver(drop=S, first=[X, sold(0, 3, "1042", 0)], second=[])
    state.run_batch()
    state.change_settings(kind=kind, flag="")


def test_a_night_of_walk_ins(state: SalesMachine) -> None:
    state.deliver(drop=S, first=[X], second=[])
    state.run_batch()
    state.deliver_walk_ins(drop=NEXT, lines=[sold(1, 1, "1042", 0)])
    state.run_batch()
    state.run_again()


def test_a_first_delivery_may_be_closed(state: SalesMachine) -> None:
    state.withdraw(drop=S)
    state.run_batch()


def test_a_run_killed_between_conflicts_and_sales(state: SalesMachine) -> None:
    state.deliver(drop=S, first=[X], second=[])
    state.run_batch()
    state.deliver(drop=S, first=[X], second=[sold(0, 1, "1042", 1)])
    state.crash(name="run_batch", at="silver/conflicts", is_after=True)
    state.deliver(drop=S, first=[X], second=[])
    state.run_batch()
    state.verify()
