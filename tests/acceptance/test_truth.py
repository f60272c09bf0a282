"""A generated landing with every kind of dirt comes out as its truth says, figure by figure."""

from __future__ import annotations

import json
import resource
import subprocess
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.generate_sales import JOB as GENERATE
from jobs.run_batch import JOB as RUN_BATCH
from jobs.verify_sales import JOB as VERIFY
from tests.support.truth import differences_from_truth

ROOT = Path(__file__).resolve().parents[2]
# The gates are wide open: so much dirt is meant, and on few lines chance alone would trip them.
GATES = ["--set", "audit.max_rejected_share=1", "--set", "audit.max_conflict_share=1"]
CURRENCIES = ["--set", "currencies=[USD, JPY, KWD]", *GATES]
DATES = ["--from", "2026-10-28", "--to", "2026-11-09"]  # over the end of daylight saving time
DIRT = ["--reject-share", "0.03", "--hot-customer-share", "0.2", "--letter-skew", "0.5"]


def test_every_figure_is_the_truths(spark: SparkSession, tmp_path: Path) -> None:
    landing, lake, truth = str(tmp_path / "landing"), str(tmp_path / "lake"), tmp_path / "truth.json"
    assert GENERATE.run(["--landing", landing, "--rows", "6000", *DATES, *DIRT]) == 0
    batch = ["--landing", landing, "--lake", lake, *CURRENCIES]
    assert RUN_BATCH.run([*batch, "--set", "chunks.target_rows_per_partition=500"]) == 0
    assert differences_from_truth(spark, lake, str(truth)) == []
    assert VERIFY.run(batch) == 0

    told = json.loads(truth.read_text(encoding="utf-8"))
    told["dates"]["2026-11-01"]["amounts"]["USD"]["net_amount"] = "0.010"
    truth.write_text(json.dumps(told), encoding="utf-8")
    (found,) = differences_from_truth(spark, lake, str(truth))
    assert found.startswith("daily ('2026-11-01', 'USD')")


@pytest.mark.slow
@pytest.mark.command
@pytest.mark.timeout(3600)
def test_ten_million_lines(spark: SparkSession, tmp_path: Path) -> None:
    landing, lake = str(tmp_path / "landing"), str(tmp_path / "lake")
    submit = str(ROOT / "scripts" / "submit.sh")
    generate = [submit, "generate_sales", "--landing", landing, "--rows", "10000000", *DATES, *DIRT]
    subprocess.run(generate, check=True)
    subprocess.run([submit, "run_batch", "--landing", landing, "--lake", lake, *CURRENCIES], check=True)
    peak_gib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1 << 20)
    assert differences_from_truth(spark, lake, str(tmp_path / "truth.json")) == []
    assert peak_gib < 6
