"""Random orders of events, each run of a job held against the reference: the laws of the lake.

A run of all tests takes a few short sequences, always the same. The long run, scripts/test.sh --model, goes
on for CYMBAL_MODEL_MINUTES with one seed after the other, from CYMBAL_MODEL_SEED on. What it finds is a
sequence of steps that can be made a named test as it stands, as those of test_named.py.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from pyspark.sql import SparkSession

from tests.model.machine import SalesMachine
from tests.model.own_machine import OwnMachine

# Chosen for the events that they reach in few runs of a job: all but a restore, a replay and verify_sales.
SHORT_SEEDS = (5, 62)
OWN_SEED = 1
SHORT_STEPS = 9
LONG_STEPS = 30
LONG_SEQUENCES = 5  # of a seed


def run_sequences(
    spark: SparkSession,
    folder: Path,
    number: int,
    sequences: int,
    steps: int,
    of: type[SalesMachine] = SalesMachine,
) -> type[SalesMachine]:
    """Runs sequences of one seed. A find is told as it was found: to shorten it would take hours of Spark."""
    machine = type(of.__name__, (of,), {"spark": spark, "folder": folder})
    run_state_machine_as_test(
        seed(number)(machine),
        settings=settings(
            max_examples=sequences,
            stateful_step_count=steps,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            verbosity=Verbosity.normal,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            print_blob=False,
        ),
    )
    return machine


@pytest.mark.parametrize("number", SHORT_SEEDS)
def test_short_sequences(spark: SparkSession, tmp_path: Path, number: int) -> None:
    run_sequences(spark, tmp_path, number, 2, SHORT_STEPS)


def test_a_short_sequence_with_a_column_a_rule_and_a_table_of_the_config(
    spark: SparkSession, tmp_path: Path
) -> None:
    run_sequences(spark, tmp_path, OWN_SEED, 1, SHORT_STEPS, OwnMachine)


@pytest.mark.model
@pytest.mark.timeout(0)
def test_long_run(spark: SparkSession, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    minutes = float(os.environ.get("CYMBAL_MODEL_MINUTES", "60"))
    first = int(os.environ.get("CYMBAL_MODEL_SEED", "1"))
    end, steps, runs, number = time.monotonic() + 60 * minutes, 0, 0, first

    def tell(text: str) -> None:
        with capfd.disabled():
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    while number == first or time.monotonic() < end:
        try:
            kind = OwnMachine if number % 3 == 0 else SalesMachine
            machine = run_sequences(spark, tmp_path, number, LONG_SEQUENCES, LONG_STEPS, kind)
        except Exception:
            tell(f"seed {number}: a find (CYMBAL_MODEL_SEED={number} starts with it)")
            raise
        steps, runs = steps + machine.steps_done, runs + machine.runs_done
        tell(f"seed {number}: no find; so far {number - first + 1} seeds, {steps:,} steps, {runs:,} job runs")
        number += 1
