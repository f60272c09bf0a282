"""The page as HTML: self-contained, escaped, with the numbers of its facts."""

from __future__ import annotations

import builtins
import re
from collections import Counter
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest

from pipeline.planning.reconciliation import ReconciliationKey
from pipeline.report.pages import converter
from pipeline.report.pages.facts import (
    ChunkTaskFacts,
    DateFacts,
    DocumentFacts,
    DropFacts,
    HotKey,
    StageFacts,
)
from pipeline.report.pages.render import render_run
from tests.pipeline.report.pages.made import BEGAN, MONDAY, TUESDAY, attempt, balance, run

HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=y>\u202e\x1b]0;\x00"


class Page(HTMLParser):
    """Tags, ids and attribute values of a page, and the text that a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids.update(value for name, value in attrs if name == "id")

    def handle_data(self, data: str) -> None:
        self.text += data


def cells(html: str, caption: str) -> list[list[str]]:
    """Cells of the table with a caption."""
    table = next(t for t in re.findall(r"<table.*?</table>", html, re.S) if f">{caption}</caption>" in t)
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.S)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in rows]


def test_tables_hold_the_numbers_of_the_run() -> None:
    html = render_run(run())
    flow = cells(html, "Lines from delivered to billed, each with its share of the states before")
    assert [row[:3] for row in flow[1:]] == [
        ["Delivered", "100", ""],
        ["Accepted", "90", "90.0%"],
        ["Rejected", "10", "10.0%"],
        ["Published", "80", "88.9%"],
        ["Duplicates", "9", "10.0%"],
        ["Conflicts", "1", "1.1%"],
        ["Billed", "60", "75.0%"],
        ["No customer", "20", "25.0%"],
    ]
    assert cells(html, "Lines by chunk")[1:] == [
        ["A-G", "60", "54", "5", "1", "0"],
        ["other", "30", "26", "4", "0", "0"],
        ["All", "90", "80", "9", "1", "0"],
    ]
    assert cells(html, "Gross by currency")[1:] == [["USD", "900.00", "800.00", "90.00", "10.00", "0.00"]]
    attempts = cells(html, "Attempts that failed, ran again or were slow")[1:]
    assert attempts == [
        [
            "A-G",
            "0",
            "1",
            "1 on host-a",
            "failed",
            "0.0",
            "0.0",
            "1.0",
            "",
            "java.lang.RuntimeException: it broke",
        ],
        ["A-G", "0", "2", "1 on host-a", "done", "0.5", "1.5", "1.0", "100", ""],
    ]
    assert cells(html, "Rejected lines by reason")[1:] == [["bad_quantity", "7"], ["missing_store_id", "3"]]
    assert cells(html, "Settings that differ from configs/cymbal.yaml")[1:] == [["late.days", "3", "7"]]
    steps = "Time of each step against the median of up to 20 earlier runs, and the margin to the deadline"
    assert cells(html, steps)[1:] == [["publish_sales", "1", "90", "40.0", "2", "20.0", "3", "none", ""]]
    assert "“Apple” is the product_name with the most lines, 30 of 80 (37.5%)" in html


def test_a_page_needs_no_script_and_no_network_and_its_ids_are_unique() -> None:
    html = render_run(run())
    page = Page(html)
    assert page.tags["svg"] == 7
    assert not page.tags["script"]
    assert [count for count in page.ids.values() if count > 1] == []
    addresses = [value for name, value in page.attributes if name in ("src", "href", "action", "data")]
    assert set(addresses) == {"data:,", "#main"}
    assert not re.search(r"url\((?!#)|@import", html)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    referred = {value for name, value in page.attributes if name == "aria-labelledby"}
    assert {part for value in referred for part in value.split()} <= set(page.ids)


def test_charts_take_the_colours_of_the_page() -> None:
    html = render_run(run())
    assert "#0a0" not in html
    assert html.count("var(--c1)") > 5
    assert "✗" in html
    assert "↻ A-G" in html


def test_delivered_text_is_shown_and_never_obeyed() -> None:
    facts = run(
        error=HOSTILE,
        arguments=["--lake", HOSTILE],
        lake=HOSTILE,
        drops=[DropFacts(MONDAY, "failed", 0, 0, 0, HOSTILE)],
        dates=[DateFacts(MONDAY, "done", 1, HOSTILE)],
        tasks=[ChunkTaskFacts(HOSTILE, 1, 1, 1, 1.0, (HOSTILE,))],
        attempts=[attempt(0, chunk=HOSTILE, worker=HOSTILE, state="FAILED", cause=HOSTILE)],
        balances={ReconciliationKey(MONDAY, HOSTILE, "USD"): balance(1, 1)},
        stages=[StageFacts(HOSTILE, 1, 1, 1.0, BEGAN)],
        rejected={HOSTILE: 1},
        samples={HOSTILE: [HOSTILE]},
        hot_key=HotKey(HOSTILE, HOSTILE, 1, 1, "t"),
        settings=[(HOSTILE, HOSTILE, HOSTILE)],
        warnings=[HOSTILE],
        notes=[HOSTILE],
    )
    html = render_run(facts)
    page = Page(html)
    assert not page.tags["script"]
    assert not page.tags["img"]
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "\u202e" not in html
    assert "\x1b" not in html
    assert "A picture is left out" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 12
    assert page.text.count("<script>alert(1)</script>") > 12


@pytest.mark.parametrize("missing", ["altair", "vl_convert"])
def test_without_the_charts_packages_tables_stay_and_the_page_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    real, real_find = builtins.__import__, converter.find_spec

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name.partition(".")[0] == missing:
            raise ImportError(f"No module named {missing}", name=missing)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(converter, "find_spec", lambda name: None if name == missing else real_find(name))
    html = render_run(run())
    assert Page(html).tags["svg"] == 1  # the flow needs neither
    assert html.count(f"the package {missing} is not installed") == 1
    assert "pip install -r requirements-report.lock" in html
    assert cells(html, "Lines by chunk")[1] == ["A-G", "60", "54", "5", "1", "0"]


def test_a_fault_of_the_converter_costs_one_picture() -> None:
    one = converter.Converter()
    data = {"values": [{"label": "\0"}]}
    bad = {"data": data, "mark": "bar", "encoding": {"y": {"field": "label", "type": "nominal"}}}
    with pytest.raises(converter.ConversionError, match="ended or gave no answer"):
        one.to_svg(bad)
    data["values"][0]["label"] = "good"
    assert ">good</text>" in one.to_svg(bad)
    one.close()


def test_a_run_of_thousands_of_dates_and_attempts_stays_small() -> None:
    days = [MONDAY.fromordinal(MONDAY.toordinal() + n) for n in range(3000)]
    attempts = [
        attempt(n, worker=f"{n % 40} on host", started_ms=n * 10, ended_ms=n * 10 + 900, chunk=f"{n % 5}")
        for n in range(10_000)
    ]
    html = render_run(
        run(
            attempts=attempts,
            dates=[DateFacts(day, "done", 1) for day in days],
            balances={ReconciliationKey(day, "A-G", "USD"): balance(1, 1) for day in days},
        )
    )
    assert len(html) < 1_500_000
    assert "The first 400 of 3,000 are listed" in html
    assert "There are many: ordinary attempts that follow each other are one bar." in html


@pytest.mark.parametrize("state", ["FAILED", "SUCCESS"])
def test_a_run_whose_tasks_all_failed_or_ran_again_stays_small(state: str) -> None:
    attempts = [
        attempt(
            n,
            2,
            worker=f"{n % 40} on host",
            started_ms=n * 10,
            ended_ms=n * 10 + 900,
            state=state,
            cause="x" * 300,
        )
        for n in range(10_000)
    ]
    html = render_run(run(attempts=attempts))
    assert len(html) < 1_500_000
    assert "The table lists the first 300 of 10,000 attempts that failed, ran again or were slow." in html
    assert len(cells(html, "Attempts that failed, ran again or were slow")) == 1 + 300


def test_names_of_any_script_are_shown_as_they_are() -> None:
    """A wide and a narrow no-break space, and joiners, without which Persian and emoji are misspelled."""
    name = "商品\u3000名 1\u202f000 \u0645\u06cc\u200c\u062e 👩\u200d🍳"
    html = render_run(run(hot_key=HotKey("product_name", name, 30, 80, "t"), rejected={name: 1}))
    assert f"“{name}” is the product_name" in html
    assert html.count(name) >= 3  # also in the picture
    assert "\ufffd" not in html


def test_passwords_in_addresses_are_on_no_page() -> None:
    secret = "ftp://user:s3cr3t@host/lake"
    html = render_run(
        run(
            lake=secret,
            landing=secret,
            error=f"{secret} is gone",
            arguments=["--lake", secret],
            settings=[("storage.lake", secret, "lake")],
            warnings=[secret],
            notes=[secret],
        )
    )
    assert "s3cr3t" not in html
    assert "ftp://host/lake is gone" in html
    azure = "abfss://sales@account.dfs.core.windows.net/lake"
    assert f"--lake {azure}" in render_run(run(arguments=["--lake", azure]))


def test_documents_and_built_tables_are_listed() -> None:
    documents = [DocumentFacts("credit_note", "USD", 1200, Decimal("-7.5"))]
    html = render_run(run(built={"gold/shares": [MONDAY, TUESDAY]}, documents=documents))
    assert cells(html, "Tables that were built, and their dates")[1:] == [
        ["gold/shares", "2", "2026-03-02", "2026-03-03"]
    ]
    assert cells(html, "Documents that were issued")[1:] == [["credit note", "USD", "1,200", "-7.50"]]


def test_what_is_not_known_is_said() -> None:
    html = render_run(run(attempts=[], rejected=None, settings=None, exit_code=None, ended_at=None))
    assert "When each task ran is not known" in html
    assert "The reasons could not be read." in html
    assert "no end is recorded" in html


def test_a_customer_that_is_the_hot_key_is_not_named() -> None:
    html = render_run(run(hot_key=HotKey("customer_id", None, 3, 9, "gold/invoices")))
    assert "one value (named with report.samples: true) is the customer_id with the most lines" in html


def test_dates_of_failures_come_first() -> None:
    dates = [DateFacts(MONDAY, "done", 1), DateFacts(TUESDAY, "failed", 0, "broke")]
    rows = cells(render_run(run(dates=dates)), "What became of each business date")
    assert [row[0] for row in rows[1:]] == ["2026-03-03", "2026-03-02"]
