"""docs/tour.ipynb runs from the first to the last cell, and its three readers agree."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from pyspark.sql import SparkSession

from jobs.generate_sales import JOB as GENERATE
from jobs.run_batch import JOB as RUN_BATCH

TOUR = Path(__file__).resolve().parents[2] / "docs" / "tour.ipynb"
CONFIG = ["--set", "currencies=[USD, JPY, KWD]", "--set", "audit.max_rejected_share=1"]


def texts(notebook: nbformat.NotebookNode) -> str:
    """What its cells printed, and their values as text."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def pictures(notebook: nbformat.NotebookNode) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.slow
def test_the_tour_runs_and_its_readers_agree(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing, lake = str(tmp_path / "landing"), str(tmp_path / "lake")
    days = ["--from", "2026-11-20", "--to", "2026-11-23"]
    assert GENERATE.run(["--landing", landing, "--rows", "400", *days]) == 0
    assert RUN_BATCH.run(["--landing", landing, "--lake", lake, *CONFIG]) in (0, 4)
    monkeypatch.setenv("CYMBAL_TOUR_LAKE", lake)
    monkeypatch.delenv("PYSPARK_SUBMIT_ARGS")
    notebook = nbformat.read(TOUR, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(TOUR.parent)}}).execute()
    sales = spark.read.format("delta").load(f"{lake}/silver/sales")
    said = texts(notebook)
    for row in sales.groupBy("currency", "chunk").count().collect():
        assert f"{row.currency} {row.chunk:<6}{row['count']:>12,}" in said
    assert "revision 1: " in said
    assert pictures(notebook) == 3


def test_the_tour_is_kept_with_what_it_showed() -> None:
    notebook = nbformat.read(TOUR, as_version=4)
    assert pictures(notebook) == 3
    assert not [o for cell in notebook.cells for o in cell.get("outputs", ()) if o.output_type == "error"]
    assert "zero_quantity" in texts(notebook)
    assert TOUR.stat().st_size < 250_000
