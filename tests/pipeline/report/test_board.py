"""The board and the line of a run, drawn from a run made by hand."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from pipeline.planning.progress import RunProgress, ended, read_json
from pipeline.report.board import board, plain_line
from tests.support.progress import PROGRESS, moment


def drawn(progress: RunProgress, width: int = 80) -> list[str]:
    console = Console(record=True, file=io.StringIO(), width=width, highlight=False)
    console.print(board(progress))
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_a_row_a_chunk_below_the_phases_and_the_deadline() -> None:
    lines = drawn(PROGRESS, 100)
    assert lines[0] == "run_batch, 12 min, run 20260303T030000-run_batch-1a2b3c4d"
    assert lines[1] == "✓ ingest  ✓ audit  ▶ publish  · totals  · bills  · documents"
    assert lines[2] == (
        "2026-03-01 to 2026-03-02, 4 workers, end about 22:15:00, deadline 22:22:00, 7 min left"
    )
    assert lines[3] == "publishing 2026-03-01 to 2026-03-02 in 8 partitions"
    assert lines[4].split() == ["chunk", "tasks", "running", "retried", "failed", "lines", "lines/s", "end"]
    rows = [[cell for cell in line.split() if not cell.startswith(("━", "╸"))] for line in lines[5:]]
    assert rows == [
        ["A-G", "4/4", "0", "0", "0", "4,012,345", "80,247", "22:10:50"],
        ["H-N", "1/3", "2", "1", "1", "1,000,000", "40,000", "~22:15:00"],
        ["other", "0/1", "0", "0", "0", "0"],
    ]


def test_a_bar_is_as_long_as_the_share_that_is_done() -> None:
    bars = [line.count("━") for line in drawn(PROGRESS, 80)[-3:]]
    assert bars[0] == 17
    assert bars[1] == 8  # and a half
    assert bars[2] == 0


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_digit_is_cut_from_80_columns_on(width: int) -> None:
    text = "\n".join(drawn(PROGRESS, width))
    assert "…" not in text
    for digits in ("4,012,345", "80,247", "~22:15:00"):
        assert digits in text


def test_a_late_end_is_told_as_late() -> None:
    late = PROGRESS.model_copy(update={"deadline": moment(600)})
    assert "5 min LATE" in " ".join(drawn(late))


def test_a_run_that_ended_names_its_exit_code_and_expects_nothing() -> None:
    lines = drawn(ended(PROGRESS, moment(800), 3), 100)
    assert lines[0].startswith("run_batch, ended with exit code 3 after 13 min, ")
    assert "▶" not in lines[1]
    assert "deadline" not in lines[2]
    assert [line.split()[2] for line in lines[-3:]] == ["0", "0", "0"]  # nothing runs
    assert "~" not in "".join(lines)
    assert "interrupted" in drawn(ended(PROGRESS, moment(800), None))[0]


def test_a_line_says_the_same_in_a_log() -> None:
    assert plain_line(PROGRESS) == (
        "publishing 2026-03-01 to 2026-03-02 in 8 partitions; A-G 4/4, H-N 1/3, other 0/1; 5,012,345 lines; "
        "40,000 lines/s; 4 workers; end about 22:15:00; deadline 22:22:00; 7 min left"
    )


def test_before_the_chunks_the_tasks_of_the_step_are_shown() -> None:
    step = PROGRESS.chunks[1].model_copy(update={"name": "step", "end": None})
    early = PROGRESS.model_copy(update={"phase": "ingest", "chunks": (), "step_tasks": step})
    assert "1 of 3 tasks" in plain_line(early)
    assert drawn(early)[-1].split()[:2] == ["step", "1/3"]


def test_what_a_progress_file_holds_drives_no_terminal() -> None:
    """A file that another wrote: markup is text, control characters are escapes."""
    chunk = PROGRESS.chunks[0].model_copy(update={"name": "[red]\x1b[2J[/]"})
    progress = PROGRESS.model_copy(update={"chunks": (chunk,), "step": "\x1b]0;x\x07", "job": "a\x1bb"})
    text = "\n".join(drawn(progress, 120))
    assert "\x1b" not in text
    assert "[red]\\x1b[2J[/]" in text
    assert "a\\x1bb" in text


@pytest.mark.parametrize(
    "update", [{"zone": "Nowhere/At_All"}, {"zone": "../etc/passwd"}, {"at": "2026-03-03"}]
)
def test_a_file_with_an_unknown_zone_or_a_time_without_one_is_not_read(update: dict[str, str]) -> None:
    content = json.loads(PROGRESS.to_json()) | update
    assert read_json(json.dumps(content).encode()) is None
    assert read_json(PROGRESS.to_json()) is not None
