"""A command's time, memory and bytes are seen, those of its children and orphans too; the limits stop it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.benchmarks.measure import Limits, Measurement, measure, tree_cpu_seconds

MEGABYTE = 1 << 20
GENEROUS = Limits(memory_bytes=2_000 * MEGABYTE, seconds=60)


def run(
    folder: Path, code: str, limits: Limits = GENEROUS, tell: Callable[[float, int], None] = lambda *_: None
) -> Measurement:
    command = [sys.executable, "-S", "-c", textwrap.dedent(code)]
    return measure(command, limits, log=folder / "log", folder=folder, environment=os.environ, tell=tell)


def test_own_cpu_and_exit_code(tmp_path: Path) -> None:
    taken = run(tmp_path, "import time\nwhile time.process_time() < 0.5: pass\nraise SystemExit(3)")
    assert 0.5 <= taken.cpu_seconds < 2
    assert taken.wall_seconds >= 0.5
    assert (taken.exit_code, taken.exceeded) == (3, None)


@pytest.mark.parametrize(
    ("child", "parent"),
    [("pass", "os.waitpid(pid, 0)"), ("pass", "pass"), ("os.fork() and os._exit(0)", "pass")],
    ids=["waited for", "left a zombie", "orphaned"],
)
def test_a_childs_cpu(tmp_path: Path, child: str, parent: str) -> None:
    code = f"""
        import os, time
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            {child}
            while time.process_time() < 0.5: pass
            os._exit(0)
        os.close(writing)
        os.read(reading, 1)  # until every child has ended
        {parent}
    """
    assert 0.5 <= run(tmp_path, code).cpu_seconds < 2


def test_what_is_left_running_is_ended(tmp_path: Path) -> None:
    taken = run(tmp_path, "import os, time; pid = os.fork()\npid or time.sleep(60)\nprint(pid, flush=True)")
    left = int((tmp_path / "log").read_text(encoding="utf-8"))
    assert taken.wall_seconds < 10
    assert not Path(f"/proc/{left}").exists()


def test_nothing_runs_on_where_the_watch_is_interrupted(tmp_path: Path) -> None:
    def interrupt(_seconds: float, _memory: int) -> None:
        if (tmp_path / "log").stat().st_size:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "import os, time; print(os.getpid(), flush=True); time.sleep(60)", tell=interrupt)
    left = int((tmp_path / "log").read_text(encoding="utf-8"))
    assert not Path(f"/proc/{left}").exists()


def test_memory_of_all_processes_together(tmp_path: Path) -> None:
    hold = f"import os, time; pid = os.fork(); held = b'x' * {100 * MEGABYTE}; time.sleep(1.5)"
    taken = run(tmp_path, hold + "\npid and os.waitpid(pid, 0)")
    assert 200 * MEGABYTE <= taken.peak_memory_bytes < 300 * MEGABYTE


def test_bytes_read_and_written_by_a_child(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(bytes(5 * MEGABYTE))
    copy = "open('output', 'wb').write(open('input', 'rb').read())"
    taken = run(tmp_path, f"import os; pid = os.fork()\nif pid: os.waitpid(pid, 0)\nelse: {copy}")
    assert 5 * MEGABYTE <= taken.read_bytes < 8 * MEGABYTE
    assert 5 * MEGABYTE <= taken.written_bytes < 6 * MEGABYTE


def test_too_much_memory_stops_it(tmp_path: Path) -> None:
    hold = f"import os, time; os.fork(); held = b'x' * {100 * MEGABYTE}; time.sleep(60)"
    taken = run(tmp_path, hold, Limits(memory_bytes=150 * MEGABYTE, seconds=60))
    assert taken.exceeded == "memory"
    assert taken.exit_code == -9
    assert taken.wall_seconds < 30


def test_too_much_time_stops_it(tmp_path: Path) -> None:
    taken = run(tmp_path, "import time; time.sleep(60)", Limits(GENEROUS.memory_bytes, seconds=0.5))
    assert taken.exceeded == "time"
    assert 0.5 <= taken.wall_seconds < 10


def test_the_cpu_of_a_tree_that_still_runs_counts_its_children() -> None:
    before = tree_cpu_seconds(os.getpid())
    code = "import time\nwhile time.process_time() < 0.5: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        running = tree_cpu_seconds(os.getpid())
        child.communicate(b"\n")
    assert 0.4 <= running - before < 2
    # It is counted once more by nothing when it has ended.
    assert tree_cpu_seconds(os.getpid()) - running < 0.4
