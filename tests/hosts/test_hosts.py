"""Any host: the ten lines are published, twice, or one line says why not. Needs root for what is mounted."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.host import LINES, Host, can_mount, land, published, run

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(600)]

OTHER_PROGRAMS = {
    "PYTHONOPTIMIZE": "2",
    "PYTHONHOME": "/nowhere",
    "PYTHONPATH": "/opt/another/pyspark",
    "PYTHONWARNINGS": "error",
    "SPARK_HOME": "/opt/another-spark",
    "SPARK_REMOTE": "sc://connect:15002",
    "SPARK_LOCAL_DIRS": "/tmp/cymbal-hosts-none/a",
    "PYSPARK_PYTHON": "ipython",
    "PYSPARK_DRIVER_PYTHON": "jupyter",
    "PYSPARK_DRIVER_PYTHON_OPTS": "notebook",
    "JAVA_TOOL_OPTIONS": "-Xmx64m -Duser.language=fa -Duser.country=IR",
    "https_proxy": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "HOME": "/nonexistent",
    "TZ": "Asia/Tokyo",
    "CDPATH": ".:/tmp",
}
READ_ONLY = """
for folder in "$CHECKOUT" "$WORK/landing"; do
    mount --bind "$folder" "$folder"; mount -o remount,ro,bind "$folder"
done
"""
# A file tree of few programs: sh is dash, there is no ps, no HOME, no locale, and next to nothing in /etc.
MINIMAL = """
new=$WORK/root; mkdir -p "$new"; mount -t tmpfs tmpfs "$new"; mkdir -p "$new/etc" "$new/tmp" "$new$WORK"
for folder in /usr /lib /lib64 /bin /sbin /proc /dev /etc/java-* /etc/alternatives $PARTS; do
    [ -d "$folder" ] || continue
    mkdir -p "$new$folder"; mount --rbind "$folder" "$new$folder"
done
mount --bind "$WORK" "$new$WORK"
echo 'root:x:0:0::/nonexistent:/bin/sh' > "$new/etc/passwd"; cp /etc/ld.so.cache "$new/etc/"
echo '127.0.0.1 localhost' > "$new/etc/hosts" # as every container runtime writes it
for program in ps less man; do
    [ ! -e /usr/bin/$program ] || mount --bind /dev/null "$new/usr/bin/$program"
done
"""
HOSTS = {
    "other programs' variables": Host(OTHER_PROGRAMS, prefix="umask 077;"),
    "sh, through a link": Host(
        {"CDPATH": ".:/tmp"},
        prefix='ln -sf "$CHECKOUT/scripts/submit.sh" "$WORK/sales";',
        command='sh "$WORK/sales"',
    ),
    "stdout and stderr on a full disk": Host(redirect=">/dev/full 2>/dev/full"),
    "a reader that leaves": Host(redirect="2>&1 | head -1"),
    "closed streams": Host(redirect="<&- >&- 2>&-"),
    "a checkout and a landing that are only read": Host({"HOME": "/nonexistent"}, READ_ONLY),
    "a temporary folder mounted noexec": Host(
        {"JAVA_TOOL_OPTIONS": "-Djava.io.tmpdir=/mnt"}, "mount -t tmpfs -o noexec,nosuid tmpfs /mnt"
    ),
    "a minimal container": Host({}, MINIMAL, prefix='/usr/sbin/chroot "$WORK/root" env -u HOME'),
}


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    land(tmp_path)
    yield tmp_path
    shutil.rmtree("/tmp/cymbal-hosts-none", ignore_errors=True)


@pytest.mark.parametrize("name", list(HOSTS))
def test_the_lines_are_published_twice_the_same(name: str, work: Path) -> None:
    host = HOSTS[name]
    if host.mounts and not can_mount():
        pytest.skip(f"{name}: only root may mount")
    first, second = run(host, work), run(host, work)
    assert (first.code, first.result.get("exit_code"), first.result.get("status")) == (0, 0, "done"), (
        first.told
    )
    assert (second.code, second.result.get("status")) == (0, "unchanged"), second.told
    assert published(work) == LINES
    for ended in (first, second):
        assert "Traceback" not in ended.told
        assert "\tat " not in ended.told


def test_a_locale_of_another_charset_loses_no_line(work: Path) -> None:
    made = subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(work / "de_DE")],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("a locale of ISO-8859-1: localedef cannot make it here")
    (work / "landing" / "drop_date=2026-03-02" / "sales.csv").rename(
        work / "landing" / "drop_date=2026-03-02" / "verkäufe.csv"
    )
    ended = run(Host({"LOCPATH": str(work), "LANG": "de_DE"}, redirect=f">{work}/out.txt"), work)
    assert ended.code == 0, ended.told
    assert published(work) == LINES
    assert "?" in (work / "out.txt").read_text(encoding="iso-8859-1")  # the bars of the summary


def test_errors_are_in_the_file_of_stderr(work: Path) -> None:
    (work / "landing" / "drop_date=2026-03-02" / "sales.csv").write_text("a,b\n1,2\n")
    for _ in range(2):
        ended = run(Host(redirect=f">{work}/out.log 2>{work}/errors.log"), work)
        assert ended.code == 4, ended.told
        assert "error: run_batch: drop 2026-03-02 failed: " in (work / "errors.log").read_text()
        assert "error:" not in (work / "out.log").read_text()


@pytest.mark.parametrize(
    ("host", "arguments", "said"),
    [
        (
            Host(),
            ("run_batch", "--set", "business_day.timezone=Factory"),
            "time zone Factory: Java does not know it",
        ),
        (Host({"SPARK_LOCAL_DIRS": "/proc/none"}), (), "SPARK_LOCAL_DIRS=/proc/none: none of its folders"),
        (Host({"JAVA_TOOL_OPTIONS": "-XX:MaxPermSize=1"}), (), "Java does not start with these options"),
        (Host({"CYMBAL_LOG_FILE": "/proc/none/log"}), (), "CYMBAL_LOG_FILE=/proc/none/log: "),
        (
            Host({"CYMBAL_SPARK_ARGS": "--conf spark.hadoop.fs.s3a.encryption.key=hidden"}),
            (),
            "may hold a secret",
        ),
    ],
    ids=["zone", "local folders", "java options", "log", "secret"],
)
def test_one_line_says_why_not(host: Host, arguments: tuple[str, ...], said: str, work: Path) -> None:
    ended = run(host, work, *arguments)
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert ended.code == 2, ended.told
    assert len(errors) == 1, ended.stderr
    assert said in errors[0]
    assert "hidden" not in ended.told
    assert not (work / "lake").exists()
