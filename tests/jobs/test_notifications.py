"""Messages to a real receiver over HTTP: what it gets, what a dead one changes, and that no log names it."""

from __future__ import annotations

import datetime as dt
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

import pipeline.clock
import pipeline.report.notify
from jobs.status import JOB as STATUS
from pipeline.cli.notify import Notifier, send_notices
from pipeline.lake.lock import LakeLock
from pipeline.lake.tables import Lake
from pipeline.planning.notices import Notice, RunLinks
from pipeline.report.notify import Sender
from schemas.states import NoticeKind
from tests.jobs.shop import Shop, line
from tests.support.receiver import Receiver, receiving

DATE = "2026-03-02"
SECRET = "s3cr3t-t0ken"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving(SECRET) as taker:
        monkeypatch.setenv("CYMBAL_NOTIFY", taker.address)
        yield taker


def bad(shop: Shop) -> None:
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"), line("B", f"{DATE}T15:00:00Z", quantity="Ada Lovelace"))


def good(shop: Shop) -> None:
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"), line("B", f"{DATE}T15:00:00Z"))


def test_a_refused_delivery_and_its_recovery_are_told_once_each(shop: Shop, receiver: Receiver) -> None:
    bad(shop)
    ran = shop.run()
    assert ran.code == 4
    (message,) = receiver.take()
    assert message["path"] == f"/{SECRET}"
    assert message["title"] == f"run_batch held back: date {DATE} and 1 more"
    assert f"drop {DATE}: " in message["message"]
    assert "run again: scripts/submit.sh --place local run_batch --landing" in message["message"]
    assert ran.result["notices"][0]["title"] == message["title"]
    assert "Lovelace" not in message["message"]

    assert shop.run().code == 4  # the same delivery
    assert receiver.take() == []

    good(shop)
    shop.done()
    (message,) = receiver.take()
    assert message["title"] == f"run_batch recovered: date {DATE} and 1 more"
    assert f"drop {DATE}" in message["message"]
    assert message["type"] == "success"

    assert shop.done().result["status"] == "unchanged"
    assert receiver.take() == []


def test_a_message_names_the_page_of_the_run(shop: Shop, receiver: Receiver) -> None:
    bad(shop)
    ran = shop.run("--report", str(shop.folder / "pages"))
    (message,) = receiver.take()
    assert Path(ran.result["page"].removeprefix("file:")).is_file()
    assert f"page: {ran.result['page']}" in message["message"].splitlines()


def test_a_run_that_cannot_begin_is_told_once(shop: Shop, receiver: Receiver) -> None:
    good(shop)
    shop.done()
    other = LakeLock(Lake(shop.spark, str(shop.lake)).files, "another")
    other.begin()
    assert shop.run().code == 75
    (message,) = receiver.take()
    assert "run another is at work in this lake" in message["message"]
    assert shop.run().code == 75
    assert receiver.take() == []
    other.end()
    shop.done()
    (message,) = receiver.take()
    assert message["title"] == "run_batch recovered"


def test_late_is_told_while_the_run_works(
    shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline.clock, "now", lambda: dt.datetime(2026, 3, 4, 5, 0, tzinfo=dt.UTC))
    good(shop)
    due = ("--set", "deadlines.ingest_sales='06:00'", "--set", "deadlines.publish_sales='06:30'")
    shop.done("--set", "business_day.timezone=UTC", *due)
    (message,) = receiver.take()  # one a run
    assert message["title"] == "run_batch late: ingest_sales"
    assert "the deadline of 1 dates had passed" in message["message"]


def test_only_the_events_of_the_config_are_told(shop: Shop, receiver: Receiver) -> None:
    bad(shop)
    assert shop.run("--set", "notify.events=[failed]").code == 4
    assert receiver.take() == []
    assert shop.run("--set", "notify.events=[all]").code == 2
    assert "notify.events" in receiver.take()[0]["message"]  # its config is wrong: that is told in any case


def test_dry_runs_and_what_reads_alone_tell_nothing(shop: Shop, receiver: Receiver) -> None:
    bad(shop)
    shop.run("--dry-run")
    shop.run(job=STATUS)
    assert receiver.take() == []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("address", ["json://127.0.0.1:{port}/{secret}", "nonsense://{secret}", "{secret}"])
def test_a_dead_receiver_changes_no_exit_code_and_is_named_nowhere(
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    address: str,
) -> None:
    monkeypatch.setenv("CYMBAL_NOTIFY", address.format(port=_free_port(), secret=SECRET))
    bad(shop)
    ran = shop.run()
    assert ran.code == 4
    assert "error: CYMBAL_NOTIFY: receiver 1 took no message" in ran.stderr
    good(shop)
    assert shop.run().code == 0
    said = capfd.readouterr()
    everything = [ran.stdout, ran.stderr, said.out, said.err]
    everything += [path.read_text(errors="replace") for path in shop.folder.rglob("*") if path.is_file()]
    spark_log = Path(os.environ["CYMBAL_LOG_FILE"])
    assert spark_log.exists()
    everything.append(spark_log.read_text(errors="replace"))
    assert not any(SECRET in text for text in everything)


def test_what_no_receiver_took_is_told_by_the_next_run(shop: Shop, receiver: Receiver) -> None:
    bad(shop)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CYMBAL_NOTIFY", f"json://127.0.0.1:{_free_port()}/{SECRET}")
        assert shop.run().code == 4
    assert shop.run().code == 4
    assert [message["title"] for message in receiver.take()] == [f"run_batch held back: date {DATE}"]


def test_a_receiver_that_never_answers_holds_nobody_up(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.report.notify, "_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("CYMBAL_NOTIFY", f"json://127.0.0.1:{silent.getsockname()[1]}/{SECRET}?rto=30")
        began = time.monotonic()
        send_notices([{"kind": "failed", "title": "t", "text": "x"}])
        assert time.monotonic() - began < 10


def test_many_receivers_that_never_answer_are_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.report.notify, "_SECONDS", 2.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        sender = Sender([f"json://127.0.0.1:{silent.getsockname()[1]}/{n}?rto=30" for n in range(4)])
        began = time.monotonic()
        for title in ("failed", "held back"):
            sender.send(Notice(NoticeKind.FAILED, title, "x"))
        assert sender.wait() == (False, [1, 2, 3, 4])
        assert time.monotonic() - began < 2 * 2.0


def test_a_message_that_cannot_be_sent_while_the_run_works_breaks_nothing(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(_: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    notifier = Notifier(RunLinks("run_batch", "R", "run_batch"), is_silent=False)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", exhausted)
        notifier.late("publish_sales ended late")


def test_a_driver_on_a_cluster_leaves_its_messages_to_the_submitter(
    shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad(shop)
    with monkeypatch.context() as patched:
        patched.setenv("CYMBAL_NOTIFY", "submitter")
        ran = shop.run()
        assert (ran.code, receiver.take()) == (4, [])
        assert shop.run().result["notices"] == []  # told already
    send_notices(ran.result["notices"])
    titles = [message["title"] for message in receiver.take()]
    assert titles == [f"run_batch held back: date {DATE} and 1 more"]


def test_an_address_in_the_config_by_mistake_is_not_repeated(shop: Shop) -> None:
    ran = shop.run("--set", f"notify.events=slack://{SECRET}")
    assert ran.code == 2
    assert SECRET not in ran.stdout + ran.stderr
    ran = shop.run("--set", f"notify.urls=[slack://{SECRET}]")
    assert (ran.code, SECRET in ran.stderr) == (2, False)


def test_a_receiver_of_html_gets_delivered_text_escaped(receiver: Receiver) -> None:
    sender = Sender([f"{receiver.address}?format=html"])
    sender.send(Notice(NoticeKind.FAILED, "run_batch failed", "column <img src=x onerror=alert()> unknown"))
    assert sender.wait() == (True, [])
    (message,) = receiver.take()
    assert "<img" not in message["message"]
    assert "&lt;img" in message["message"]
