"""The pages in a real browser: they load alone, fit the screen, and axe-core finds no serious fault."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from pipeline.report.pages.render import render_run
from pipeline.report.pages.site_facts import ChunkLine, DateLine, RunLine, SiteFacts
from pipeline.report.pages.site_page import render_overview
from tests.browser.conftest import open_page
from tests.pipeline.report.pages.made import BEGAN, run

pytestmark = pytest.mark.browser

WIDTHS = {"desktop": 1280, "phone": 390}
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, Scheme] = ("light", "dark")
DARK_PAPER = "rgb(18, 22, 28)"


def a_year() -> SiteFacts:
    """A year of nights; one date failed, one is held back, one was restated."""
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in range(365)]
    runs = [
        RunLine(
            run_id=f"{day:%Y%m%d}T040000-run_batch-{n:08x}",
            job="run_batch",
            status="failed" if n == 100 else "done",
            exit_code=3 if n == 100 else 0,
            started_at=BEGAN + dt.timedelta(days=n),
            seconds=60.0 + n,
            lines=1000 + n,
            error="it broke" if n == 100 else None,
            margin_seconds=600.0 - 2 * n,
        )
        for n, day in enumerate(days)
    ]
    states = {100: "failed", 101: "blocked"}
    dates = [
        DateLine(day, states.get(n, "billed"), 2 if n == 50 else 1, 1000 + n, [runs[n].run_id], states.get(n))
        for n, day in enumerate(days)
    ]
    categories = [f"category {n}" for n in range(12)]
    sales = {day: {name: Decimal(n + 1) for n, name in enumerate(categories)} for day in days}
    return SiteFacts(
        lake="file:///lake",
        runs=runs,
        dates=dates,
        sales={"USD": sales},
        rejected=dict.fromkeys(days, (1000, 10)),
        chunks=[ChunkLine(run.run_id, "A-G", 50.0, 4, 1) for run in runs],
    )


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    texts = {
        "run": render_run(run(samples={"bad_quantity": ["a;b;c"]})),
        "failed": render_run(
            run(status="failed", exit_code=3, error="org.example." + "Long" * 40, notes=["a note"])
        ),
        "year": render_overview(a_year(), None, [2025, 2026]),
    }
    paths = {name: folder / f"{name}.html" for name in texts}
    for name, text in texts.items():
        paths[name].write_text(text)
    return paths


@pytest.mark.parametrize("name", ["run", "failed", "year"])
@pytest.mark.parametrize("screen", list(WIDTHS))
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_page_loads_alone_fits_the_screen_and_has_no_serious_fault(
    browser: Browser, pages: dict[str, Path], name: str, screen: str, scheme: Scheme
) -> None:
    context = browser.new_context(
        viewport={"width": WIDTHS[screen], "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    opened = open_page(context, pages[name])
    assert opened.problems == []
    assert opened.requests == [pages[name].as_uri()]
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[screen]
    paper = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == DARK_PAPER) == (scheme == "dark")
    serious = [
        (fault["id"], fault["nodes"][0]["html"])
        for fault in Axe().run(opened.page).response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    assert serious == []
    context.close()


def test_a_page_shows_all_it_has_without_script(browser: Browser, pages: dict[str, Path]) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = open_page(context, pages["run"]).page
        assert page.get_by_role("heading", level=1).inner_text().endswith("run_batch is done, after 2 min")
        assert page.get_by_role("img", name="Lines from delivered to billed").is_visible()
        gantt = page.get_by_role("img", name="Chunks on their workers over time")
        text = gantt.text_content() or ""
        assert "↻ A-G" in text
        assert "✗ A-G" in text


def test_the_keyboard_reaches_what_scrolls(browser: Browser, pages: dict[str, Path]) -> None:
    with browser.new_context(viewport={"width": 390, "height": 800}) as context:
        page = open_page(context, pages["run"]).page
        page.keyboard.press("Tab")
        assert focused(page)["text"] == "Skip to the content"
        page.keyboard.press("Tab")
        assert focused(page)["name"] == "Lines from delivered to billed."
        for _ in range(50):  # a key that comes before the first frame scrolls nothing
            page.keyboard.press("ArrowRight")
            if page.evaluate("document.activeElement.scrollLeft") > 0:
                break
            page.wait_for_timeout(100)
        assert page.evaluate("document.activeElement.scrollLeft") > 0


def focused(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(
        "({text: document.activeElement.innerText, name: document.activeElement.getAttribute('aria-label')})"
    )
    return found


def test_on_paper_every_table_is_open(browser: Browser, pages: dict[str, Path]) -> None:
    with browser.new_context(color_scheme="dark") as context:
        page = open_page(context, pages["year"]).page
        folded = page.get_by_role("cell", name="1,000", exact=True).first
        assert not folded.is_visible()
        page.emulate_media(media="print")
        assert folded.is_visible()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_a_year_is_small_and_opens_at_once(browser: Browser, pages: dict[str, Path]) -> None:
    assert pages["year"].stat().st_size < 2_000_000
    with browser.new_context() as context:
        page = open_page(context, pages["year"]).page
        took = page.evaluate("performance.timing.loadEventEnd - performance.timing.navigationStart")
        assert 0 < took < 3000
        assert page.get_by_role("link", name="2026-02-20 billed, revision 2").get_attribute("href") == (
            "runs/20260220T040000-run_batch-00000032.html"
        )
        assert page.get_by_role("link", name="2026-04-11 failed, revision 1").is_visible()
