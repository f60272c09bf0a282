"""``scripts/environment.sh``: every script starts from any shell, folder, link, stream and environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUBMIT = ROOT / "scripts" / "submit.sh"
# What other programs leave in an environment. Each of these has broken or changed a start.
OTHERS = {
    "PYTHONOPTIMIZE": "2",
    "PYTHONHOME": "/nowhere",
    "PYTHONPATH": "/another/pyspark",
    "PYTHONINSPECT": "1",
    "PYTHONWARNINGS": "error",
    "SPARK_HOME": "/opt/another-spark",
    "SPARK_REMOTE": "sc://connect:15002",
    "PYSPARK_DRIVER_PYTHON": "jupyter",
    "PYSPARK_SUBMIT_ARGS": "pyspark-shell",
    "DELTA_TESTING": "1",
    "PIP_USER": "1",
    "CDPATH": ".:/tmp",
}
KEPT = {
    "SPARK_CONF_DIR": "/mine",
    "SPARK_LOCAL_DIRS": "/scratch",
    "SPARK_LOCAL_IP": "127.0.0.2",
    "PYSPARK_PYTHON": "python3",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PIP_INDEX_URL": "mirror",
    "AWS_ACCESS_KEY_ID": "a key",
    "HADOOP_CONF_DIR": "/etc/hadoop",
}


def shell(command: str, *, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of a shell with few variables of this process."""
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(
        ["bash", "-c", command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def sourced(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of a shell after it has sourced the script."""
    return shell(f'source "{ROOT}/scripts/environment.sh" && {command}', **variables)


def test_a_folder_list_for_cd_changes_nothing() -> None:
    finished = shell("scripts/submit.sh --help", cwd=ROOT, CDPATH=".:/tmp")
    assert finished.stdout.startswith("usage: scripts/submit.sh"), finished.stderr


def test_a_link_on_the_path_leads_to_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "real").symlink_to(SUBMIT)
    (tmp_path / "bin" / "sales").symlink_to("real")  # a relative link, to a link
    finished = shell("sales zzz", cwd=tmp_path, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert finished.returncode == 2
    assert finished.stderr.startswith("error: unknown job zzz")


@pytest.mark.parametrize("name", ["submit", "cluster", "history", "package", "profile", "test", "airflow"])
def test_sh_runs_each_script_under_bash(name: str) -> None:
    lines = (ROOT / "scripts" / f"{name}.sh").read_text().splitlines()
    commands = [text for text in lines if text and not text.startswith("#")]
    assert commands[0].startswith('[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"')


def test_sh_runs_the_submission() -> None:
    assert shell("sh scripts/submit.sh --help", cwd=ROOT).stdout.startswith("usage: scripts/submit.sh")


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    finished = shell(f"rmdir '{gone}'; exec '{SUBMIT}' --help", cwd=gone)
    assert finished.returncode == 2
    assert "error: the current folder no longer exists" in finished.stderr


def test_variables_of_other_programs_reach_no_process_and_are_named() -> None:
    finished = sourced('env && echo "told: $CYMBAL_LEFT_OUT"', **OTHERS, **KEPT)
    found = dict(text.partition("=")[::2] for text in finished.stdout.splitlines())
    assert not set(OTHERS) & set(found)
    assert found.items() >= KEPT.items()
    told = next(text for text in finished.stdout.splitlines() if text.startswith("told: "))
    assert set(told.split()[1:]) == set(OTHERS)


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", ">/dev/full 2>/dev/full"])
def test_a_stream_that_takes_no_text_changes_no_exit_code(streams: str) -> None:
    assert shell(f"'{SUBMIT}' zzz {streams}").returncode == 2


def test_a_closed_stream_is_no_number_for_the_next_file() -> None:
    command = "readlink /proc/$$/fd/1 /proc/$$/fd/2 >&9"
    finished = shell(f'exec 9>&1 >&- 2>&-; source "{ROOT}/scripts/environment.sh"; {command}')
    assert finished.stdout.split() == ["/dev/null", "/dev/null"]


def test_the_charset_of_the_output_stays_where_java_gets_utf_8(tmp_path: Path) -> None:
    if shutil.which("localedef") is None:
        pytest.skip("localedef is not there")
    made = subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(tmp_path / "de_DE")],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("localedef knows no de_DE here")
    finished = sourced('echo "$LC_ALL $PYTHONIOENCODING"', LOCPATH=str(tmp_path), LANG="de_DE")
    assert finished.stdout == "C.UTF-8 ISO-8859-1\n"


def test_what_runs_write_goes_where_the_user_says(tmp_path: Path) -> None:
    finished = sourced('echo "$CYMBAL_VAR"', CYMBAL_VAR=str(tmp_path / "new" / "var"))
    assert finished.stdout.strip() == str(tmp_path / "new" / "var")
    (tmp_path / "file").touch()
    refused = sourced("true", CYMBAL_VAR=str(tmp_path / "file"))
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: CYMBAL_VAR={tmp_path / 'file'}: a folder")


def test_what_runs_write_goes_to_the_temporary_folder_of_a_checkout_that_is_only_read(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "environment.sh", checkout / "scripts")
    (checkout / "var").touch()  # no folder can be made of it, even by root
    command = f'source "{checkout}/scripts/environment.sh" && echo "$CYMBAL_VAR"'
    own = tmp_path / f"cymbal-sales-{os.getuid()}"
    assert shell(command, TMPDIR=str(tmp_path)).stdout.strip() == str(own)
    assert own.stat().st_mode & 0o777 == 0o700
    own.rmdir()
    own.symlink_to(tmp_path)  # as another user could have made it
    refused = shell(command, TMPDIR=str(tmp_path))
    assert refused.returncode == 2
    assert "set CYMBAL_VAR to a folder of your own" in refused.stderr
