"""A run's metrics: in a file as Prometheus reads it, and at a gateway that really takes them."""

from __future__ import annotations

import datetime as dt
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.cli.observe import publish_metrics
from pipeline.report.metrics import write_metrics

RESULT: dict[str, Any] = {
    "job": "run_batch",
    "exit_code": 3,
    "drops": [{"status": "ingested"}, {"status": "ingested"}, {"status": "blocked"}],
    "dates": [{"status": "done"}, {"status": "failed"}],
    "rejected": {"bad_quantity": 2},
    "warned": {"no_category": 3},
    "chunks": [
        {
            "chunk": "A-G",
            "received": 5,
            "published": 4,
            "duplicates": 1,
            "conflicts": 0,
            "failed_attempts": 2,
        },
        {"chunk": "other", "partitions": 1},
    ],
    "stages": [
        {"stage": "ingest_sales", "seconds": 1.5, "margin_seconds": None},
        {"stage": "publish_sales", "seconds": 2.5, "margin_seconds": -60.0},
    ],
}
TOOK, ENDED = dt.timedelta(seconds=12.5), dt.datetime(2026, 1, 6, 3, 0, tzinfo=dt.UTC)


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Values by name and labels' values."""
    return {
        (
            sample.name,
            *(value for _, value in sorted(sample.labels.items()) if value != "run_batch"),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


EXPECTED = {
    ("cymbal_run_exit_code",): 3,
    ("cymbal_run_seconds",): 12.5,
    ("cymbal_run_ended_timestamp_seconds",): ENDED.timestamp(),
    ("cymbal_drops", "blocked"): 1,
    ("cymbal_drops", "ingested"): 2,
    ("cymbal_dates", "done"): 1,
    ("cymbal_dates", "failed"): 1,
    ("cymbal_rejected_lines", "bad_quantity"): 2,
    ("cymbal_warned_lines", "no_category"): 3,
    ("cymbal_lines", "A-G", "received"): 5,
    ("cymbal_lines", "A-G", "published"): 4,
    ("cymbal_lines", "A-G", "duplicates"): 1,
    ("cymbal_lines", "A-G", "conflicts"): 0,
    ("cymbal_failed_attempts", "A-G"): 2,
    ("cymbal_stage_seconds", "ingest_sales"): 1.5,
    ("cymbal_stage_seconds", "publish_sales"): 2.5,
    ("cymbal_stage_margin_seconds", "publish_sales"): -60,
}


def test_a_file_holds_every_figure_that_there_is(tmp_path: Path) -> None:
    write_metrics(str(tmp_path / "cymbal.prom"), RESULT, TOOK, ENDED)
    assert samples((tmp_path / "cymbal.prom").read_text()) == EXPECTED


class _Gateway(http.server.BaseHTTPRequestHandler):
    taken: dict[str, str] = {}  # noqa: RUF012  # one a test: http.server makes an object a request

    def do_PUT(self) -> None:
        self.taken[self.path] = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def gateway() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), _Gateway)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_gateway_is_given_the_same_under_the_name_of_the_job(gateway: str) -> None:
    write_metrics(gateway, RESULT, TOOK, ENDED)
    assert samples(_Gateway.taken["/metrics/job/cymbal_run_batch"]) == EXPECTED


@pytest.mark.parametrize(
    "target", ["/no/such/folder/a.prom", "http://127.0.0.1:1", "http://gateway:port", "http://a b"]
)
def test_one_that_cannot_be_written_is_told_and_changes_nothing(
    target: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CYMBAL_METRICS", target)
    publish_metrics(RESULT, TOOK)
    told = capsys.readouterr().err
    assert told.startswith(f"error: CYMBAL_METRICS={target}: ")
    assert len(told.splitlines()) == 1


def test_a_password_in_an_address_is_not_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CYMBAL_METRICS", "http://me:hidden@gateway")
    publish_metrics(RESULT, TOOK)
    told = capsys.readouterr().err
    assert told.startswith("error: CYMBAL_METRICS: the address holds a password")
    assert "name a file, or a Pushgateway that asks for none" in told
    assert "hidden" not in told


def test_none_are_asked_for_none_are_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CYMBAL_METRICS", raising=False)
    monkeypatch.chdir(tmp_path)
    publish_metrics(RESULT, TOOK)
    assert list(tmp_path.iterdir()) == []
