"""The page of a run under a real drill: the Gantt shows what ran again, the numbers are the tables'."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from playwright.sync_api import Browser, Page

from schemas.tables import LEDGER_TASKS, SALES
from tests.browser.conftest import open_page
from tests.support.tables import table_path

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def drilled(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a drill in which each task of one chunk failed twice."""
    reports = tmp_path_factory.mktemp("drill")
    command = [str(ROOT / "scripts" / "submit.sh"), "drill", "--fault", "task_raises", "--rows", "4000"]
    ran = subprocess.run(
        [*command, "--reports", str(reports)], capture_output=True, text=True, timeout=1500, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (folder,) = (path for path in reports.iterdir() if (path / "drill.json").exists())
    return folder


def test_the_retries_of_a_drill_are_in_the_picture(browser: Browser, drilled: Path) -> None:
    evidence = {row["fault"]: row for row in json.loads((drilled / "drill.json").read_text())}["task_raises"]
    ((chunk, tasks),) = [(c, n) for c, n in evidence["write_tasks_again"].items() if n]
    path = max((drilled / "pages").glob("*.html"))  # the last run is the one under the fault
    with browser.new_context() as context:
        opened = open_page(context, path)
        assert (opened.problems, opened.requests) == ([], [path.as_uri()])
        page = opened.page
        text = page.get_by_role("img", name="Chunks on their workers over time").text_content() or ""
        assert text.count("✗") == 2 * tasks
        assert text.count("↻") == tasks
        assert "nothing was lost" in page.locator(".lead").inner_text()
        lake = drilled / "task_raises"
        recorded = {row["chunk"]: row for row in rows(lake, LEDGER_TASKS)}
        assert recorded[chunk]["failed_attempts"] == 2 * tasks
        shown = cells(page, "Tasks by chunk")
        assert {row[0]: (int(row[2]), int(row[3])) for row in shown} == {
            name: (row["tasks"], row["failed_attempts"]) for name, row in recorded.items()
        }
        published = {
            row[0]: row[1] for row in cells(page, "Lines from delivered to billed, each with its share")
        }
        assert published["Published"] == f"{len(rows(lake, SALES)):,}"


def rows(lake: Path, table: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = DeltaTable(str(table_path(lake, table))).to_pyarrow_table().to_pylist()
    return found


def cells(page: Page, caption: str) -> list[list[str]]:
    """Cells of the body of the table whose caption begins so."""
    table = page.locator("table", has=page.locator("caption", has_text=caption))
    return [row.locator("th,td").all_inner_texts() for row in table.locator("tbody tr").all()]
