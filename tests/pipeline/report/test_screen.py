"""Where progress is shown: a board on a terminal, lines in a log; a broken terminal breaks nothing."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
from typing import NoReturn

import pytest
from pyspark.sql import SparkSession
from rich.console import Console

import pipeline.report.screen
from pipeline.report.progress import Progress, pause_after
from pipeline.report.screen import Screen
from pipeline.report.tracker import Tracker
from tests.support.progress import PROGRESS, failed_and_retried


class Broken(io.StringIO):
    """The stream of a terminal that is gone."""

    def write(self, text: str) -> NoReturn:
        raise OSError(5, "Input/output error")


def screen_on(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, is_terminal: bool) -> Screen:
    console = Console(file=stream, force_terminal=is_terminal, width=100, highlight=False)
    monkeypatch.setattr(pipeline.report.screen, "errors", lambda: console)
    return Screen()


def test_a_terminal_gets_the_board_and_each_event_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    screen = screen_on(monkeypatch, stream, is_terminal=True)
    screen.start()
    screen.show(PROGRESS.model_copy(update={"events": failed_and_retried()[:1]}))
    screen.show(PROGRESS)
    screen.show(PROGRESS)
    screen.stop()
    shown = stream.getvalue()
    assert shown.count("▶ publish") >= 3
    assert "4,012,345" in shown
    assert shown.count("H-N: attempt 1 of partition 4 failed on 10.0.0.3") == 1
    assert shown.count("H-N: attempt 2 of partition 4 runs on 10.0.0.3") == 1


def test_a_log_gets_events_at_once_and_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    screen = screen_on(monkeypatch, stream, is_terminal=False)
    screen.show(PROGRESS)
    screen.show(PROGRESS)
    said = [text.partition(" s  ")[2] for text in stream.getvalue().splitlines()]
    assert [text.partition(" failed")[0].partition(" runs")[0] for text in said] == [
        "H-N: attempt 1 of partition 4",
        "H-N: attempt 2 of partition 4",
    ]
    monkeypatch.setattr(pipeline.report.screen, "_LINE_SECONDS", 0.0)
    screen.show(PROGRESS)
    assert "A-G 4/4, H-N 1/3, other 0/1" in stream.getvalue().splitlines()[-1]


def test_a_log_of_json_lines_gets_the_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CYMBAL_LOG_FORMAT", "json")
    monkeypatch.setattr(pipeline.report.screen, "_LINE_SECONDS", 0.0)
    Screen().show(PROGRESS)
    events = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert events[-1]["cymbal.step"] == PROGRESS.step
    assert events[-1]["cymbal.progress"]["chunks"][0]["lines"] == 4_012_345


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_broken_terminal_breaks_nothing(monkeypatch: pytest.MonkeyPatch, is_terminal: bool) -> None:
    screen = screen_on(monkeypatch, Broken(), is_terminal)
    screen.start()
    screen.show(PROGRESS)
    screen.print_line("more", "")
    screen.stop()
    assert not screen.is_live


def test_looking_takes_a_small_share_of_a_core_at_any_size() -> None:
    assert pause_after([]) == pause_after([0.001]) == 1.0
    assert pause_after([0.02]) == pytest.approx(4.0)  # 0.5 % of a core
    assert pause_after([0.9, 0.02, 3.0]) == pytest.approx(4.0)  # a busy machine makes a look longer
    assert pause_after([10.0]) == 30.0


def test_a_record_that_cannot_be_shown_breaks_no_run(spark: SparkSession) -> None:
    """A file name of bytes that are no UTF-8 is no description of a Spark job."""
    tracker = Tracker("r", "run_batch", (), lambda: dt.datetime.now(dt.UTC))
    with Progress(tracker) as progress:
        progress._spark = spark
        logging.getLogger("pipeline.test").info("reading sales_\udcff.csv")
        logging.getLogger("pipeline.test").info("publishing")
        assert tracker.step == "publishing"
