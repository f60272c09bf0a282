"""Output that a stream does not take is dropped: it ends no run and changes no exit code."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.report import streams
from pipeline.report.streams import ForgivingStream, error_stream, errors, output
from pipeline.report.summary import print_error

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _opened_anew() -> Iterator[None]:
    streams._stream.cache_clear()
    yield
    streams._stream.cache_clear()


def test_a_full_disk_takes_nothing_and_breaks_nothing() -> None:
    with open("/dev/full", "w", buffering=1) as full:  # noqa: PTH123
        stream = ForgivingStream(full)
        assert stream.write("lost\n") == 5
        stream.flush()
        with pytest.raises(OSError, match="No space left"):
            full.write("lost\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


def test_a_closed_stream_takes_nothing() -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (ForgivingStream(closed), ForgivingStream(None)):
        assert stream.write("lost") == 4
        stream.flush()
        assert not stream.isatty()


def test_characters_that_the_charset_lacks_are_replaced() -> None:
    latin = io.TextIOWrapper(io.BytesIO(), encoding="iso-8859-1")
    stream = ForgivingStream(latin)
    stream.write("Öl █ 12 €")
    stream.flush()
    assert latin.buffer.getvalue() == b"\xd6l ? 12 ?"  # type: ignore[attr-defined]


def test_a_file_that_takes_stderr_gets_the_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, out = tmp_path / "errors.log", tmp_path / "out.log"
    log.write_text("of the shell\n")
    monkeypatch.setenv("CYMBAL_STDERR", str(log))
    monkeypatch.setenv("CYMBAL_STDOUT", str(out))
    errors().print("error: no such file")
    output().print("fine")
    assert log.read_text() == "of the shell\nerror: no such file\n"
    assert not out.exists()  # only what the submission opened is opened anew


def test_what_cannot_be_opened_anew_falls_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CYMBAL_STDERR", str(tmp_path / "none"))
    fallback = io.StringIO()
    monkeypatch.setattr(sys, "stderr", fallback)
    error_stream().write("told")
    assert fallback.getvalue() == "told"


@pytest.mark.parametrize("target", ["/dev/full", "closed"])
def test_the_end_of_the_process_does_not_fail_either(target: str) -> None:
    code = (
        "from pipeline.report.streams import drop_unwritten, protect_streams\n"
        "protect_streams(); print('x' * 10_000); drop_unwritten()"
    )
    redirect = ">&-" if target == "closed" else f">{target}"
    ended = subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {redirect}', sys.executable, code],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")


def test_control_characters_of_a_delivered_name_are_shown_and_drive_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "errors.log"
    log.touch()
    monkeypatch.setenv("CYMBAL_STDERR", str(log))
    print_error("file Ärger\x1b[2J\nerror: none\u202e.csv")
    assert log.read_text() == "error: file Ärger\\x1b[2J\\nerror: none\\u202e.csv\n"
