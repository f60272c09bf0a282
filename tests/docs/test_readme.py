"""The snippets for reading the tables, of the README and its how-to, run as they stand, on a small lake."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.generate_sales import JOB as GENERATE
from jobs.run_batch import JOB as RUN_BATCH

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "docs" / "how-to" / "read-the-tables.md")
SNIPPETS = [
    snippet
    for page in PAGES
    for snippet in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
]
CONFIG = ["--set", "currencies=[USD, JPY, KWD]", "--set", "audit.max_rejected_share=1"]


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("readme")
    landing, lake = str(folder / "landing"), str(folder / "lake")
    day = ["--from", "2017-12-23", "--to", "2017-12-23"]
    assert GENERATE.run(["--landing", landing, "--rows", "100", *day, "--conflict-share", "0"]) == 0
    assert RUN_BATCH.run(["--landing", landing, "--lake", lake, *CONFIG]) == 0
    return lake


def test_there_is_a_snippet_of_each_reader() -> None:
    assert [re.findall(r"duckdb|polars|to_pandas", snippet)[0] for snippet in SNIPPETS] == [
        "duckdb",
        "polars",
        "to_pandas",
    ]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippet_prints_rows(lake: str, snippet: str) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(snippet.replace("var/sample/lake", lake), {})
    assert re.search(r"\d+\.\d{3}", printed.getvalue())
