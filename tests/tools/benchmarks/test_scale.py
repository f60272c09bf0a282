"""The replay of a run on other clusters, on logs made by hand, where the right answer can be counted out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tools.benchmarks.scale.__main__ import main
from tools.benchmarks.scale.model import (
    AS_RECORDED,
    COMMIT,
    CORES,
    DRIVER,
    JVM,
    LAUNCH,
    LONGEST,
    SHUFFLE,
    Assumptions,
    Cluster,
    Model,
    makespan,
)
from tools.benchmarks.scale.recorded import Recorded, read_events, step_of
from tools.benchmarks.scale.report import check_table, projections_table
from tools.benchmarks.scale.steps import kind_of, steps_table
from tools.benchmarks.scale.steps import main as print_steps

FREE = {"network": 0.0, "launch_seconds": 0.0, "file_seconds": 0.0, "log_seconds": 0.0}


def at(kind: str, second: float) -> dict[str, Any]:
    return {"Event": f"SparkListenerApplication{kind}", "Timestamp": 1_000_000 + second * 1000}


def worker(name: str = "0", cores: int = 1) -> dict[str, Any]:
    return {
        "Event": "SparkListenerExecutorAdded",
        "Executor ID": name,
        "Executor Info": {"Total Cores": cores},
    }


def stage(number: int, step: str) -> dict[str, Any]:
    return {
        "Event": "SparkListenerStageSubmitted",
        "Stage Info": {"Stage ID": number},
        "Properties": {"spark.job.description": step},
    }


def task(
    number: int,
    partition: int,
    times: tuple[float, float],
    *,
    read: int = 0,
    written: int = 0,
    shuffled: int = 0,
    reason: str = "Success",
    executor: str = "0",
    cpu: float = 1,
) -> dict[str, Any]:
    return {
        "Event": "SparkListenerTaskEnd",
        "Stage ID": number,
        "Task Info": {
            "Partition ID": partition,
            "Executor ID": executor,
            "Launch Time": 1_000_000 + times[0] * 1000,
            "Finish Time": 1_000_000 + times[1] * 1000,
        },
        "Task End Reason": {"Reason": reason},
        "Task Metrics": {
            "Executor CPU Time": cpu * 1e9,
            "Executor Deserialize CPU Time": 0,
            "Input Metrics": {"Records Read": read},
            "Shuffle Read Metrics": {"Total Records Read": 0},
            "Output Metrics": {"Records Written": written},
            "Shuffle Write Metrics": {"Shuffle Bytes Written": shuffled},
        },
    }


def night(step: str = "ingesting 1 drops", shuffled: int = 0) -> Recorded:
    """Driver 5 s; four tasks of 100 lines, 4 s and three times 2 s; driver 1 s; a task of 1 s; driver 2 s.

    One worker of one core: 19 s, of which the driver alone 8 s.
    """
    times = [(5, 9), (9, 11), (11, 13), (13, 15)]
    lines = [
        task(0, partition, when, read=100, written=100, shuffled=shuffled)
        for partition, when in enumerate(times)
    ]
    log = stage(1, "Delta: counting: Compute snapshot for version: 1")
    return read_events(
        [at("Start", 0), worker(), stage(0, step), *lines, log, task(1, 0, (16, 17)), at("End", 19)]
    )


@pytest.mark.parametrize(
    ("slots", "launch", "expected"),
    [
        (1, 0, 7),
        (2, 0, 4),  # 3 | 2 2
        (3, 0, 3),
        (99, 0, 3),
        (2, 1, 6),  # from 1 to 4 | from 2 to 4, then 2 more
    ],
)
def test_tasks_go_to_the_first_free_slot_in_order(slots: int, launch: float, expected: float) -> None:
    assert makespan([3, 2, 2], slots, launch) == expected


def test_no_task_takes_no_time() -> None:
    assert makespan([], 4) == 0


def test_a_log_is_read_as_phases_with_the_drivers_time_between() -> None:
    run = night()
    assert (run.seconds, run.driver_seconds, run.lines) == (19, 8, 400)
    assert [(phase.step, phase.driver_seconds, phase.seconds) for phase in run.phases] == [
        ("ingesting 1 drops", 5, 10),
        ("counting", 1, 1),
    ]
    assert run.last_driver_seconds == 2


def test_stages_at_the_same_time_are_one_phase_and_only_the_first_success_counts() -> None:
    run = read_events(
        [
            at("Start", 0),
            worker("0"),
            worker("1"),
            worker("idle"),
            task(0, 0, (1, 2), reason="ExecutorLostFailure"),
            task(0, 0, (2, 4)),
            task(1, 0, (3, 6), executor="1"),
            task(0, 0, (6, 9)),  # its output was lost, and made again
            task(2, 0, (7, 8)),
            at("End", 8),
        ]
    )
    assert [(phase.driver_seconds, phase.seconds, len(phase.stages)) for phase in run.phases] == [
        (2, 4, 2),
        (1, 1, 1),
    ]
    assert run.executors == {"0": 1, "1": 1}


def test_windows_of_an_ingest_are_counted_together() -> None:
    ingests = [stage(n, f"ingesting {n} drops, 1.0 MB") for n in (1, 2)]
    tasks = [task(n, 0, (n, n + 1), written=100 * n) for n in (1, 2)]
    larger = [stage(3, "publishing 2026-11-01"), task(3, 0, (4, 5), written=900)]
    assert read_events([at("Start", 0), worker(), *ingests, *tasks, *larger]).lines == 300
    assert read_events([at("Start", 0), worker(), *larger]).lines == 900


def test_a_slot_is_one_lane_though_the_driver_notes_an_end_late() -> None:
    run = read_events([worker(cores=2), *[task(0, n, (n, n + 2.1)) for n in range(4)]])
    (found,) = run.stages
    assert [[one.launched for one in lane] for lane in found.lanes(run.executors)] == [
        [pytest.approx(1000), pytest.approx(1002)],
        [pytest.approx(1001), pytest.approx(1003)],
    ]


def test_deltas_own_words_are_not_the_step() -> None:
    assert step_of("Delta: Delta: planning 2026-11-20, 20,073 lines: Filtering files for query") == (
        "planning 2026-11-20, 20,073 lines"
    )
    assert step_of("publishing 2026-11-20 in 12 partitions") == "publishing 2026-11-20 in 12 partitions"


@pytest.mark.parametrize(
    ("cluster", "seconds"),
    [
        (Cluster(1, 1), 19),  # as it was
        (Cluster(2, 1), 15),  # 4 2 | 4 2: each worker compiles first
        (Cluster(4, 1), 13),  # 4 | 4 | 4 | 4
        (Cluster(4, 1, real_cores=2), 17),  # four that compile, on two cores
        (Cluster(1000, 4), 13),
    ],
)
def test_the_same_run_on_other_workers(cluster: Cluster, seconds: float) -> None:
    found = Model(night(), AS_RECORDED).project(400, cluster)
    assert found.seconds == pytest.approx(seconds)
    # What follows the write is its commit.
    assert (found.parts[DRIVER], found.parts[COMMIT]) == (7, 1)


def test_more_lines_are_more_tasks_and_leave_the_rest_as_it_is() -> None:
    ten_times = Model(night(), AS_RECORDED).project(4000, Cluster(1, 1))
    assert ten_times.seconds == pytest.approx(8 + (4 + 39 * 2) + 1)
    spread = Model(night(), AS_RECORDED).project(4000, Cluster(10, 2))
    assert spread.seconds == pytest.approx(8 + (4 + 2) + 1)


def test_tasks_of_more_rows_take_longer_in_proportion_but_for_compiling() -> None:
    # 20 tasks of 4 s, and 2 s that the first took more than the others.
    found = Model(night(), Assumptions(rows_per_task=200, **FREE)).project(4000, Cluster(1, 1))
    assert found.seconds == pytest.approx(8 + (2 + 20 * 4) + 1)


def test_what_every_task_costs_is_not_multiplied() -> None:
    lines = [task(0, 0, (0, 4), read=100, written=100), task(0, 1, (4, 6), read=100, written=100)]
    small = [task(1, 0, (6, 7)), task(2, 0, (7, 8))]
    run = read_events([at("Start", 0), worker(), *lines, *small, at("End", 8)])
    # Tasks that read nothing take 1 s; of the 2 s of one that reads lines, 1 s is for its 100 lines.
    found = Model(run, Assumptions(rows_per_task=200, **FREE)).project(4000, Cluster(1, 1))
    assert found.task_seconds == pytest.approx(2 + 20 * (1 + 2) + 2)


def test_windows_run_one_after_the_other_and_compile_once() -> None:
    assumed = Assumptions(rows_per_task=0, lines_per_window=400, dates=3, **FREE)
    found = Model(night("publishing 2026-11-20 in 4 partitions"), assumed).project(1200, Cluster(1, 1))
    assert found.windows == 3
    # Each has the driver's 5 s before it; what is not of a window is done once.
    assert found.seconds == pytest.approx(3 * 5 + (10 + 8 + 8) + 1 + 1 + 2)
    # More lines than dates can be split by: longer windows.
    assert Model(night("publishing 2026-11-20"), assumed).project(8000, Cluster(1, 1)).windows == 3


def test_recorded_windows_stand_for_others() -> None:
    run = read_events(
        [
            *[at("Start", 0), worker(), stage(0, "ingesting"), task(0, 0, (0, 4), read=400, written=400)],
            *[stage(1, "publishing 2026-11-20"), task(1, 0, (5, 7), read=200, written=200)],
            *[stage(2, "publishing 2026-11-21"), task(2, 0, (8, 9), read=200, written=200)],
            at("End", 9),
        ]
    )
    assumed = Assumptions(rows_per_task=0, lines_per_window=200, dates=4, **FREE)
    # Two tasks of the ingest; each recorded window, with the second of driver before it, twice.
    assert Model(run, assumed).project(800, Cluster(1, 1)).seconds == pytest.approx(
        8 + 2 * (1 + 2) + 2 * (1 + 1)
    )


def test_a_log_that_grows_costs_every_later_window() -> None:
    assumed = Assumptions(
        rows_per_task=0, lines_per_window=400, dates=3, **{**FREE, "log_seconds": 0.5, "file_seconds": 2.0}
    )
    found = Model(night("publishing 2026-11-20"), assumed).project(1200, Cluster(1, 1))
    # Four files a window, as many as were measured: 0 + 4 + 8 found in the log.
    assert found.parts[COMMIT] == pytest.approx(1 + 0.5 * 12)
    # One window of twelve files, eight more than were measured.
    once = Model(
        night("publishing 2026-11-20"), Assumptions(rows_per_task=0, dates=1, **{**FREE, "file_seconds": 2.0})
    )
    assert once.project(1200, Cluster(1, 1)).parts[COMMIT] == pytest.approx(1 + 8 * 2)


def test_a_shuffle_crosses_the_network_but_for_a_workers_own_share() -> None:
    model = Model(night(shuffled=1000), Assumptions(rows_per_task=0, **{**FREE, "network": 100.0}))
    assert model.project(400, Cluster(1, 1)).parts[SHUFFLE] == 0
    assert model.project(400, Cluster(4, 1)).parts[SHUFFLE] == pytest.approx(4000 * 3 / 4 / 4 / 100)
    assert model.project(4000, Cluster(4, 1)).parts[SHUFFLE] == pytest.approx(40000 * 3 / 4 / 4 / 100)


@pytest.mark.parametrize(
    ("cluster", "seconds"),
    [
        (Cluster(1, 1), 3),  # no core is idle: 3 s of compiling come on top
        (Cluster(1, 1, real_cores=2), 0),  # they fit beside the tasks
        (Cluster(2, 1), (13 + 2 * 3) / 2 - 7),  # 13 s of tasks, that two workers take 7 s for: 1 s is idle
        (Cluster(4, 1, real_cores=1), 4 * 3),
    ],
)
def test_compilers_take_idle_cores_before_they_take_the_tasks(cluster: Cluster, seconds: float) -> None:
    found = Model(night(), replace(AS_RECORDED, jvm_seconds=3)).project(400, cluster)
    assert found.parts[JVM] == pytest.approx(seconds)
    without = Model(night(), AS_RECORDED).project(400, cluster)
    assert found.seconds == pytest.approx(without.seconds + seconds)


def test_what_bounds_a_run() -> None:
    as_was = Model(night(), AS_RECORDED)
    assert as_was.project(400, Cluster(1, 1)).bound == (CORES, pytest.approx(11 / 19))
    assert as_was.project(400, Cluster(1000, 1)).bound == (DRIVER, pytest.approx(7 / 13))
    many = as_was.project(400_000, Cluster(1000, 1))
    assert many.parts[CORES] == pytest.approx((1000 * 4 + 3000 * 2) / 1000 + 1 / 1000)
    assert many.parts[LONGEST] == pytest.approx(1 - 1 / 1000)
    launched = Model(night(), Assumptions(rows_per_task=0, **{**FREE, "launch_seconds": 0.01}))
    # 4,000 tasks handed out in 40 s, of which 10 s of work for each slot.
    assert launched.project(400_000, Cluster(1000, 1)).parts[LAUNCH] == pytest.approx(30, rel=0.01)
    assert launched.project(400_000, Cluster(1000, 1)).bound[0] == LAUNCH


def test_cores_are_paid_busy_or_not() -> None:
    found = Model(night(), AS_RECORDED).project(400, Cluster(1000, 4))
    assert found.core_hours == pytest.approx(13 * 4000 / 3600)
    row = projections_table([found], 0.05).splitlines()[2]
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        "400", "1,000", "1", "13.0 s", "14.4", "0.72", "0%", "driver 54%",
    ]  # fmt: skip


def cells(text: str) -> list[str]:
    return [cell.strip() for cell in text.splitlines()[2].strip("|").split("|")]


def test_a_prediction_stands_beside_what_was_measured() -> None:
    # By CPU every task took 1 s.
    assert cells(check_table(night(), [night()], 2)) == [
        "1", "1", "2 of 2", "19.0", "19.0", "+0%", "8.0", "8.0", "5.0", "5.0", "+0%",
    ]  # fmt: skip


@pytest.mark.parametrize("end", [[], [at("End", 40)]])  # killed, or told to end
def test_of_a_run_that_was_cut_off_the_steps_that_it_finished_are_compared(end: list[dict[str, Any]]) -> None:
    lines = [task(0, n, (7 + n // 2 * 9, 13 + n // 2 * 9), read=100, written=100, executor=str(n % 2), cpu=2)
             for n in range(4)]  # fmt: skip
    cut = read_events(
        [at("Start", 0), worker("0"), worker("1"), stage(0, "ingesting 1 drops"), *lines,
         stage(1, "planning"), task(1, 0, (30, 31)), *end]
    )  # fmt: skip
    # 5 s of driver and 4 2 | 4 2, where 7 s and 15 s were measured; by CPU 2 s where it was 4 s.
    assert cells(check_table(night(), [cut], None)) == [
        "2", "2", "1 of 2", "11.0", "22.0", "-50%", "5.0", "7.0", "2.0", "4.0", "-50%",
    ]  # fmt: skip


def test_the_command_prints_writes_and_tells_what_is_no_event_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, out = tmp_path / "app-1", tmp_path / "out"
    events = [at("Start", 0), worker(), task(0, 0, (1, 3), read=10, written=10), at("End", 4)]
    # The driver was killed: half a line at the end.
    log.write_text("".join(json.dumps(event) + "\n" for event in events) + '{"Event": "Spark')
    assert main([str(log), "--lines", "10", "1000", "--workers", "1", "8", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert (out / "scale.md").read_text() in printed
    assert "1,000 |       8 |" in printed
    log.write_text("")
    assert main([str(log), "--out", str(out)]) == 2
    assert "no task that succeeded" in capsys.readouterr().err


# --- the cost of each step


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ("ingesting 27 drops, 974.4 MB", "ingesting"),
        ("publishing 2026-10-15 to 2026-11-13 in 14 partitions", "publishing"),
        ("building gold/daily_sales of 30 dates", "building gold/daily_sales"),
        ("counting what was received", "counting what was received"),
        ("2 drops", "other"),
        ("", "other"),
    ],
)
def test_windows_of_one_step_are_one_kind(step: str, kind: str) -> None:
    assert kind_of(step) == kind


def test_costs_of_each_step_of_two_runs_side_by_side() -> None:
    dates = [stage(n, f"publishing 2026-11-{n:02} in 2 partitions") for n in (2, 3)]
    small = read_events(
        [at("Start", 0), worker(), stage(0, "ingesting 1 drops"), task(0, 0, (5, 9), written=500_000, cpu=3),
         *dates, task(2, 0, (9, 10), shuffled=7_000_000), task(3, 0, (10, 11), shuffled=1_000_000, cpu=2),
         stage(4, "publishing"), task(4, 0, (11, 12), written=10, cpu=0.5), at("End", 15)]
    )  # fmt: skip
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in steps_table([small, night()], 2).splitlines()[2:]
    ]
    assert rows == [
        ["ingesting", "write", "1", "6.00", "0", "4", "10000.00", "0"],
        ["publishing", "shuffle", "2", "6.00", "8", "0", "0.00", "0"],
        ["all others", "", "1", "1.00", "0", "1", "2500.00", "0"],
        ["together", "", "4", "13.00", "8", "5", "12500.00", "0"],
        ["driver, no task at work", "", "", "16.00 s by the clock", "", "", "20000.00 s by the clock", ""],
    ]


def test_costs_tell_what_is_no_event_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "app-1"
    log.write_text("")
    assert print_steps([str(log)]) == 2
    assert f"{log}: no task that succeeded" in capsys.readouterr().err
    events = [at("Start", 0), worker(), stage(0, "planning"), task(0, 0, (1, 3), written=10), at("End", 4)]
    log.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert print_steps([str(log), str(log), "--least", "9"]) == 0
    assert "| all others" in capsys.readouterr().out
