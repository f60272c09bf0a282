"""What a user meets at ``scripts/submit.sh``: refusals before any set-up, and the job's own exit code."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

JOB_THAT_WRITES_DELTA = """
import os, sys
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
spark.range(100).write.format("delta").save(os.path.abspath(sys.argv[1]))
rows = spark.read.format("delta").load(os.path.abspath(sys.argv[1])).count()
print(rows, spark.sparkContext.master, os.environ["CYMBAL_LOG_FILE"])
spark.stop()
sys.exit(int(sys.argv[2]))
"""


@pytest.mark.parametrize("locale", ["C", "POSIX", ""])
def test_java_reads_file_names_as_utf_8_in_a_posix_locale(locale: str, java_home: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if name not in ("LANG", "LC_CTYPE")}
    script, java = str(ROOT / "scripts" / "environment.sh"), str(java_home / "bin" / "java")
    told = subprocess.run(
        ["bash", "-c", 'source "$0" && exec "$1" -XshowSettings:properties -version', script, java],
        env={**inherited, "LC_ALL": locale},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "sun.jnu.encoding = UTF-8" in told.stderr


def test_a_locale_of_the_users_own_stays() -> None:
    # One that is not installed is no locale: Java would read file names as ASCII.
    told = subprocess.run(
        ["bash", "-c", 'source "$0" && echo "$LC_ALL"', str(ROOT / "scripts" / "environment.sh")],
        env={**os.environ, "LC_ALL": "C.utf8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "C.utf8\n"


@pytest.fixture
def java_home() -> Path:
    return Path(os.environ["JAVA_HOME"])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a job of the test's own, sharing what this one has set up."""
    folder = tmp_path / "a checkout"  # the space is meant: paths of users have them
    for name in ("scripts", "configs", "schemas"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for lock in ROOT.glob("requirements*.lock"):
        shutil.copy(lock, folder)
    (folder / "jobs").mkdir()
    (folder / "jobs" / "count_rows.py").write_text(JOB_THAT_WRITES_DELTA)
    return folder


def run(command: list[str], cwd: Path | None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command without what the run of these tests has set for itself."""
    own = ("CYMBAL_", "JAVA_HOME", "SPARK_", "PYSPARK_", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    environment.update(variables)
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=180, check=False
    )


def submit(
    checkout: Path, *arguments: str, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return run([str(checkout / "scripts" / "submit.sh"), *arguments], cwd, **variables)


def assert_refused(finished: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert finished.returncode == 2
    assert finished.stdout == ""
    lines = finished.stderr.splitlines()
    assert len(lines) == 1, finished.stderr
    for part in parts:
        assert part in lines[0]


def test_an_unknown_job_is_refused_with_the_nearest_before_any_set_up(checkout: Path) -> None:
    assert_refused(submit(checkout, "count_row"), "unknown job count_row", "did you mean count_rows?")
    assert not (checkout / ".venv").exists()


def test_a_name_that_resembles_no_job_gets_the_list(checkout: Path) -> None:
    assert_refused(submit(checkout, "zzz"), "unknown job zzz", "There are: count_rows")


@pytest.mark.parametrize("job", ["../jobs/count_rows", "_private", ".", "count_rows.py"])
def test_only_a_plain_job_name_is_taken(checkout: Path, job: str) -> None:
    (checkout / "jobs" / "_private.py").write_text("")
    assert_refused(submit(checkout, job), f"unknown job {job}")


def test_an_unknown_place_is_refused_with_the_nearest(checkout: Path) -> None:
    assert_refused(
        submit(checkout, "--place", "standalon", "count_rows"), "unknown place", "did you mean standalone?"
    )


@pytest.mark.parametrize(
    ("place", "form"), [("standalone", "spark://HOST:PORT"), ("kubernetes", "k8s://URL")]
)
def test_a_place_without_its_master_is_refused(checkout: Path, place: str, form: str) -> None:
    assert_refused(
        submit(checkout, "--place", place, "count_rows"), f"place {place} needs CYMBAL_MASTER={form}"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--deploy-mode", "clustr"], "--deploy-mode clustr: one of client, cluster"),
        (["--deploy-mode=cluster"], "--deploy-mode cluster needs a cluster: the local place has none"),
        (["--with", "s4"], "unknown set of jars s4: did you mean s3?"),
        (["--with="], "unknown set of jars"),
    ],
)
def test_what_there_is_not_is_refused_before_any_set_up(
    checkout: Path, options: list[str], said: str
) -> None:
    assert_refused(submit(checkout, *options, "count_rows"), said)
    assert not (checkout / ".venv").exists()


def test_an_option_before_the_job_is_refused(checkout: Path) -> None:
    assert_refused(submit(checkout, "--date", "2026-11-27"), "unknown option --date")


def test_cores_must_be_a_number(checkout: Path) -> None:
    assert_refused(submit(checkout, "count_rows", CYMBAL_CORES="two"), "CYMBAL_CORES=two")


def test_another_checkout_as_the_current_folder_changes_nothing(checkout: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "scripts" / "bootstrap"
    other.mkdir(parents=True)
    for module in (other.parent / "__init__.py", other / "__init__.py", other / "nearest.py"):
        module.write_text("print('the wrong checkout')")
    assert_refused(submit(checkout, "zzz", cwd=tmp_path / "other"), "unknown job zzz", "count_rows")


def test_help_names_jobs_and_places(checkout: Path) -> None:
    finished = submit(checkout, "--help")
    assert finished.returncode == 0
    assert "count_rows" in finished.stdout
    assert "kubernetes local standalone yarn" in finished.stdout


def test_no_python_is_one_line(checkout: Path) -> None:
    assert_refused(submit(checkout, "count_rows", CYMBAL_PYTHON="no-such-python"), "no Python 3.11 or newer")


@pytest.mark.command
def test_the_jobs_exit_code_comes_through_and_the_terminal_is_the_jobs(
    checkout: Path, tmp_path: Path
) -> None:
    (checkout / ".venv").symlink_to(ROOT / ".venv")
    shutil.copytree(ROOT / "var" / "java", checkout / "var" / "java", symlinks=True)
    shutil.copytree(ROOT / "var" / "jars", checkout / "var" / "jars")
    set_up = [str(ROOT / ".venv" / "bin" / "python"), "-P", "-S", "-m", "scripts.setup"]
    run(
        set_up, tmp_path, PYTHONPATH=str(checkout)
    )  # a Java of its own, where the user's differs from the run's
    variables = {"CYMBAL_CORES": "2", "JAVA_TOOL_OPTIONS": "-Dof.the.user=1"}

    finished = submit(checkout, "count_rows", "table", "75", cwd=tmp_path, **variables)

    assert finished.returncode == 75, finished.stderr
    assert finished.stderr == ""
    rows, master, log_file = finished.stdout.strip().split(" ", 2)
    assert (rows, master) == ("100", "local[2,4]")
    assert Path(log_file).parent == checkout / "var" / "log"
    assert (tmp_path / "table" / "_delta_log").is_dir()  # a path of the user's is from where the user is
