"""What a submission takes from its host: temporary folders, Java options, streams, rights, the log."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bootstrap.common import write_whole
from scripts.bootstrap.native import runs_native_code
from scripts.submission import checks, temporary
from scripts.submission.checks import check_localhost, check_log, check_user
from scripts.submission.java_options import caller_options, check_options
from scripts.submission.line import line_in_client_mode
from scripts.submission.request import ROOT, SubmissionError
from tests.scripts.submission.test_line import following, request, settings

JAVA_HOME = os.environ.get("JAVA_HOME", str(ROOT / "var" / "java" / "home"))


@pytest.fixture
def noexec(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Folders from which no native code can be loaded."""
    folders: set[Path] = set()
    monkeypatch.setattr(temporary, "runs_native_code", lambda file: file.parent not in folders)
    return folders


def test_a_file_here_can_be_mapped_and_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\0")
    assert runs_native_code(tmp_path / "file")
    with pytest.raises(OSError, match="No such file"):
        runs_native_code(tmp_path / "none")


def test_the_usual_folder_is_left_alone() -> None:
    assert "java.io.tmpdir" not in line_in_client_mode(request()).describe()


def test_native_libraries_leave_a_folder_that_is_noexec_and_large_files_stay(
    noexec: set[Path], tmp_path: Path
) -> None:
    noexec.add(Path("/tmp"))
    line = line_in_client_mode(request(CYMBAL_VAR=str(tmp_path)))
    assert following(line, "--driver-java-options") == f"-Djava.io.tmpdir={tmp_path}/tmp"
    assert settings(line)["spark.local.dir"] == "/tmp"


def test_a_folder_of_the_caller_counts_if_native_code_can_be_loaded_from_it(
    noexec: set[Path], tmp_path: Path
) -> None:
    own = tmp_path / "own"
    given = {"JAVA_TOOL_OPTIONS": f"-Duser.a=1 -Djava.io.tmpdir={own}", "CYMBAL_VAR": str(tmp_path)}
    options = following(line_in_client_mode(request(**given)), "--driver-java-options")
    assert shlex.split(options) == ["-Duser.a=1", f"-Djava.io.tmpdir={own}"]
    noexec.add(own)
    options = following(line_in_client_mode(request(**given)), "--driver-java-options")
    assert shlex.split(options)[-1] == f"-Djava.io.tmpdir={tmp_path}/tmp"


def test_no_folder_at_all_is_told(noexec: set[Path], tmp_path: Path) -> None:
    noexec.update({Path("/tmp"), Path("/var/tmp"), tmp_path / "tmp"})
    with pytest.raises(SubmissionError, match=f"/tmp, {tmp_path}/tmp, /var/tmp: .*noexec.*set CYMBAL_VAR"):
        line_in_client_mode(request(CYMBAL_VAR=str(tmp_path)))


def test_local_folders_are_made_and_one_that_cannot_be_is_told(tmp_path: Path) -> None:
    line_in_client_mode(request(SPARK_LOCAL_DIRS=f"/proc/nowhere,{tmp_path}/a/b"))
    assert (tmp_path / "a" / "b").is_dir()
    with pytest.raises(SubmissionError, match="SPARK_LOCAL_DIRS=/proc/nowhere: none of its folders"):
        line_in_client_mode(request(SPARK_LOCAL_DIRS="/proc/nowhere"))


def test_java_options_of_every_variable_reach_the_driver_once_and_in_order() -> None:
    given = {
        "_JAVA_OPTIONS": "-Duser.c=3",
        "JAVA_TOOL_OPTIONS": "-Duser.b='2 2'",
        "JDK_JAVA_OPTIONS": "-Duser.a=1",
    }
    line = line_in_client_mode(request(**given))
    options = following(line, "--driver-java-options")
    assert shlex.split(options) == ["-Duser.a=1", "-Duser.b=2 2", "-Duser.c=3"]
    assert not set(given) & set(line.environment(given))


def test_what_spark_refuses_among_java_options_is_left_out_and_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = request(_JAVA_OPTIONS="-Xmx512m -Dspark.a=b -Duser.c=3")
    assert caller_options(given) == ["-Duser.c=3"]
    check_options(given.environment, [])
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "Java option -Xmx512m is left out: Spark has settings of its own for it"
    assert len(told) == 2
    assert "b" not in told[1].partition("-Dspark.a")[2].partition(" is")[0]


def test_a_java_option_that_may_be_secret_reaches_java_by_a_file(tmp_path: Path) -> None:
    text = "-Duser.a=1 -Djavax.net.ssl.keyStorePassword='of mine'"
    given = request(JAVA_TOOL_OPTIONS=text, CYMBAL_VAR=str(tmp_path), JAVA_HOME=JAVA_HOME)
    line = line_in_client_mode(given)
    assert "mine" not in line.describe()
    options = shlex.split(following(line, "--driver-java-options"))
    assert options == ["-Duser.a=1", f"@{tmp_path}/java/options"]
    assert (tmp_path / "java" / "options").stat().st_mode & 0o777 == 0o600
    java = [f"{JAVA_HOME}/bin/java", *options, "-XshowSettings:properties", "-version"]
    told = subprocess.run(java, capture_output=True, text=True, check=True).stderr
    assert "javax.net.ssl.keyStorePassword = of mine" in told


def test_options_of_an_older_java_are_told_before_spark_starts() -> None:
    check_options({"JAVA_HOME": JAVA_HOME}, ["-Dmine=1"])
    given = {"JAVA_HOME": JAVA_HOME, "JAVA_TOOL_OPTIONS": "-XX:+UseConcMarkSweepGC"}
    said = r"JAVA_TOOL_OPTIONS: Java does not start with .*UseConcMarkSweepGC"
    with pytest.raises(SubmissionError, match=said):
        check_options(given, ["-XX:+UseConcMarkSweepGC"])


def test_a_log_that_cannot_be_written_is_told_and_the_probe_leaves_none(tmp_path: Path) -> None:
    check_log({"CYMBAL_LOG_FILE": str(tmp_path / "a" / "spark.log")})
    assert list((tmp_path / "a").iterdir()) == []
    (tmp_path / "kept.log").write_text("kept")
    check_log({"CYMBAL_LOG_FILE": str(tmp_path / "kept.log")})
    assert (tmp_path / "kept.log").read_text() == "kept"
    with pytest.raises(SubmissionError, match=f"CYMBAL_LOG_FILE={tmp_path}/kept.log/x: File exists"):
        check_log({"CYMBAL_LOG_FILE": str(tmp_path / "kept.log" / "x")})


def test_a_user_without_a_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    check_user()
    monkeypatch.setattr(checks.os, "getuid", lambda: 4_000_000_001)  # no user of this machine
    with pytest.raises(SubmissionError, match="user 4000000001 has no name on this host"):
        check_user()


def test_a_host_that_does_not_know_localhost_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    check_localhost()

    def fail(*_: object) -> None:
        raise OSError(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(checks.socket, "getaddrinfo", fail)
    with pytest.raises(SubmissionError, match=r"add the line 127[.]0[.]0[.]1 localhost"):
        check_localhost()


def test_a_local_run_takes_no_python_of_a_notebook() -> None:
    given = {"PYSPARK_PYTHON": "ipython", "CYMBAL_MASTER": "yarn"}
    assert line_in_client_mode(request(**given)).variables["PYSPARK_PYTHON"] == str(ROOT / ".venv/bin/python")
    assert line_in_client_mode(request("yarn", **given)).variables["PYSPARK_PYTHON"] == "ipython"


def python(code: str, output: Path) -> None:
    with output.open("w") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, env={"PYTHONPATH": str(ROOT)}, check=True)


def test_two_openings_of_one_file_never_overwrite_each_other(tmp_path: Path) -> None:
    code = (
        "import os\n"
        "from scripts.submission.streams import append_to_files\n"
        "append_to_files()\n"
        "anew = os.open('/proc/self/fd/1', os.O_WRONLY | os.O_APPEND)\n"
        "for text in (b'a', b'b', b'c'):\n"
        "    os.write(anew, text); os.write(1, text.upper())\n"
    )
    python(code, tmp_path / "log")
    assert (tmp_path / "log").read_text() == "aAbBcC"


@pytest.mark.parametrize(("umask", "mode"), [("0o022", 0o640), ("0o077", 0o600), ("0o000", 0o640)])
def test_what_a_run_writes_is_closed_to_other_users(tmp_path: Path, umask: str, mode: int) -> None:
    code = (
        "import os, pathlib\n"
        "from scripts.submission.streams import close_to_others\n"
        f"os.umask({umask}); close_to_others()\n"
        f"pathlib.Path({str(tmp_path / 'result.json')!r}).touch()\n"
    )
    python(code, tmp_path / "log")
    assert (tmp_path / "result.json").stat().st_mode & 0o777 == mode


def test_a_secret_file_is_closed_to_others_before_it_has_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    write = Path.write_text

    def observed(path: Path, *arguments: str, **options: str) -> int:
        written = write(path, *arguments, **options)
        modes.append(path.stat().st_mode & 0o777)
        return written

    monkeypatch.setattr(Path, "write_text", observed)
    umask = os.umask(0)
    try:
        write_whole(tmp_path / "a" / "secret", "hidden", mode=0o600)
        write_whole(tmp_path / "a" / "shared", "shown")
    finally:
        os.umask(umask)
    assert modes == [0o600, 0o600]
    assert (tmp_path / "a" / "secret").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a" / "shared").stat().st_mode & 0o777 == 0o644
