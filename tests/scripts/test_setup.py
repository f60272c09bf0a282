"""Set-up: nothing twice, nothing wrong taken, one line for what is missing."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts import setup
from scripts.bootstrap import common, environment, jars, java, maven, nearest
from scripts.bootstrap.common import SetupError, refuse, say, sha256_of
from scripts.bootstrap.trust import PASSWORD, trusted_authorities, write_trust_store

CONTENT = b"a jar"


@pytest.fixture
def jar_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One pinned jar, a mirror on this disk that has it, and an empty folder of jars."""
    mirror = tmp_path / "mirror" / "org" / "things" / "thing" / "1.0"
    mirror.mkdir(parents=True)
    (mirror / "thing-1.0.jar").write_bytes(CONTENT)
    pins = tmp_path / "jars.toml"
    checksum = sha256_of(mirror / "thing-1.0.jar")
    pins.write_text(
        f'[[jar]]\ngroup = "org.things"\nname = "thing"\nversion = "1.0"\nsha256 = "{checksum}"\n'
    )
    folder = tmp_path / "jars"
    monkeypatch.setattr(jars, "PINS", pins)
    monkeypatch.setattr(jars, "FOLDER", folder)
    monkeypatch.setenv("CYMBAL_MAVEN_MIRROR", (tmp_path / "mirror").as_uri())
    return folder


def test_a_jar_comes_from_the_mirror_once(jar_folder: Path) -> None:
    assert not jars.are_fetched()
    jars.fetch()
    assert (jar_folder / "thing-1.0.jar").read_bytes() == CONTENT
    assert jars.are_fetched()


def test_a_jar_that_is_not_the_pinned_one_is_not_kept(jar_folder: Path, tmp_path: Path) -> None:
    served = next((tmp_path / "mirror").rglob("*.jar"))
    expected = sha256_of(served)
    served.write_bytes(b"another jar")
    with pytest.raises(SetupError, match=r"thing-1\.0\.jar") as refused:
        jars.fetch()
    assert expected in str(refused.value)
    assert sha256_of(served) in str(refused.value)
    assert not list(jar_folder.rglob("*.jar"))
    assert not jars.are_fetched()


def test_what_set_up_tells_is_json_where_all_is_to_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CYMBAL_LOG_FORMAT", "json")
    say("fetches a jar")
    assert refuse(SetupError("no jar")) == 2
    told = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert [(event["log.level"], event["message"]) for event in told] == [
        ("INFO", "set-up: fetches a jar"),
        ("ERROR", "no jar"),
    ]
    monkeypatch.setenv("CYMBAL_LOG_FORMAT", "text")
    say("fetches a jar")
    refuse("no jar")
    assert capsys.readouterr().err == "set-up: fetches a jar\nerror: no jar\n"


def test_a_changed_pin_fetches_again(jar_folder: Path, tmp_path: Path) -> None:
    jars.fetch()
    served = next((tmp_path / "mirror").rglob("*.jar"))
    served.write_bytes(b"another jar")
    jars.PINS.write_text(
        jars.PINS.read_text().replace(sha256_of(jar_folder / "thing-1.0.jar"), sha256_of(served))
    )
    assert not jars.are_fetched()
    jars.fetch()
    assert (jar_folder / "thing-1.0.jar").read_bytes() == b"another jar"


def test_a_set_of_jars_is_fetched_only_where_it_is_asked_for(jar_folder: Path, tmp_path: Path) -> None:
    checksum = sha256_of(next((tmp_path / "mirror").rglob("*.jar")))
    pin = '\n[[jar]]\nset = "extra"\ngroup = "org.things"\nname = "thing"\nversion = "1.0"\n'
    jars.PINS.write_text(f'{jars.PINS.read_text()}{pin}sha256 = "{checksum}"\n')
    jars.fetch()
    assert (jars.are_fetched(), jars.are_fetched("extra")) == (True, False)
    jars.fetch("extra")
    assert (jar_folder / "extra" / "thing-1.0.jar").read_bytes() == CONTENT
    assert jars.are_fetched("extra")


def test_a_set_that_does_not_exist_is_refused_with_those_that_do(jar_folder: Path) -> None:
    jars.PINS.write_text(jars.PINS.read_text() + 'set = "extra"\n')
    with pytest.raises(SetupError, match="unknown set of jars 's4': one of extra"):
        jars.fetch("s4")


@pytest.mark.parametrize("arguments", [["--all"], ["--with"], ["--dev", "s3"]])
def test_wrong_arguments_of_set_up_end_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert setup.main(arguments) == 2
    assert capsys.readouterr().err.strip() == setup.USAGE


def test_a_missing_jar_names_the_address(jar_folder: Path, tmp_path: Path) -> None:
    next((tmp_path / "mirror").rglob("*.jar")).unlink()
    with pytest.raises(SetupError, match=r"cannot fetch thing-1\.0\.jar from file:"):
        jars.fetch()


def test_a_mirror_must_be_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYMBAL_MAVEN_MIRROR", "repository.example")
    with pytest.raises(SetupError, match=r"CYMBAL_MAVEN_MIRROR=repository\.example"):
        maven.download("org.things", "thing", "1.0", tmp_path)


def test_a_changed_lock_installs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("a==1")
    monkeypatch.setattr(environment, "RUN_LOCK", lock)
    monkeypatch.setattr(environment, "STAMP", tmp_path / "installed.json")
    environment.STAMP.write_text(json.dumps({lock.name: sha256_of(lock)}))
    assert environment.is_installed(dev=False)
    lock.write_text("a==2")
    assert not environment.is_installed(dev=False)


@pytest.mark.parametrize("broken", ["", "not json", "[]"])
def test_a_broken_stamp_is_no_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    monkeypatch.setattr(environment, "STAMP", tmp_path / "installed.json")
    environment.STAMP.write_text(broken)
    assert not environment.is_installed(dev=False)


def test_a_python_without_venv_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(environment, "can_apt_install", lambda: False)
    monkeypatch.setattr(environment, "STAMP", Path("no such stamp"))
    with pytest.raises(
        SetupError, match=r"has no venv module: install it \(Debian: apt-get install python3\."
    ):
        environment.install(dev=False)


def fake_java(path: Path, version: str, returncode: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    home = path.parent.parent
    path.write_text(
        f"#!/bin/sh\necho '    java.home = {home}'\necho '    java.specification.version = {version}'\n"
        f"exit {returncode}\n"
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("version", "returncode", "usable"),
    [("17", 0, True), ("21", 0, True), ("11", 0, False), ("1.8", 0, False), ("17", 1, False)],
)
def test_only_a_java_that_runs_and_is_new_enough_is_used(
    tmp_path: Path, version: str, returncode: int, usable: bool
) -> None:
    found = java.probe(fake_java(tmp_path / "bin" / "java", version, returncode))
    assert (found is not None) == usable


def test_path_alone_gives_one_line_when_java_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_java(tmp_path / "bin" / "java", "11")
    monkeypatch.setenv("CYMBAL_JAVA_FROM", "path")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(
        SetupError, match=r"no Java 17 or newer \(JAVA_HOME .* is older than 17 or does not run"
    ):
        java.choose()


def test_the_wrapper_drops_one_flag_and_keeps_the_rest(tmp_path: Path) -> None:
    echo = tmp_path / "echo all"
    echo.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    echo.chmod(0o755)
    wrapper = tmp_path / "java"
    wrapper.write_text(java.WRAPPER_TEXT.format(version=17, source="test", java=f"'{echo}'"))
    wrapper.chmod(0o755)
    given = ["-Xmx1g", "--add-modules=jdk.incubator.vector", "-Da=b c", "*", ""]
    said = subprocess.run([wrapper, *given], capture_output=True, text=True, check=True).stdout
    assert said.split("\n")[:-1] == ["-Xmx1g", "-Da=b c", "*", ""]


def test_java_reads_the_trust_store(tmp_path: Path) -> None:
    keytool = java.probe(java.WRAPPER)
    certificates = trusted_authorities()[:3]
    if keytool is None or not keytool.java.with_name("keytool").exists() or not certificates:
        pytest.skip("needs Java's keytool and a system that trusts someone")
    store = tmp_path / "trust.jks"
    write_trust_store(store, certificates)
    command: list[str | Path] = [
        keytool.java.with_name("keytool"),
        "-list",
        "-keystore",
        store,
        "-storetype",
        "jks",
        "-storepass",
        PASSWORD,
    ]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert listed.count("trustedCertEntry") == len(certificates)


def test_the_nearest_name_and_all_names_are_said() -> None:
    line = nearest.unknown_name_line("job", "run_bach", ["bill_customers", "run_batch"])
    assert line == "error: unknown job run_bach: did you mean run_batch? There are: bill_customers, run_batch"


def test_set_up_that_is_done_costs_next_to_nothing() -> None:
    started = time.perf_counter()
    assert setup.main(["--dev"]) == 0
    assert time.perf_counter() - started < 0.2


def test_the_image_has_all_that_its_set_up_imports(tmp_path: Path) -> None:
    """The Dockerfile copies these before set-up, so that a change of others fetches nothing again."""
    before = (common.ROOT / "deploy" / "docker" / "Dockerfile").read_text().split("-m scripts.setup")[0]
    for line in before.splitlines():
        if line.startswith("COPY "):
            *sources, target = line.split()[1:]
            for name in map(Path, sources):
                copied = tmp_path / (target if Path(target).name == name.name else Path(target) / name.name)
                copied.parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (common.ROOT / name).is_dir() else shutil.copy
                copy(common.ROOT / name, copied)
    requested = [sys.executable, "-P", "-S", "-m", "scripts.setup", "--no-such-option"]
    ran = subprocess.run(
        requested, cwd="/", env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (2, setup.USAGE + "\n")


def test_pages_that_cannot_be_installed_cost_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run is worth more than its page: set-up goes on, and what was installed stays."""
    for name in ("RUN_LOCK", "REPORT_LOCK"):
        lock = tmp_path / f"{name.lower()}.txt"
        lock.write_text("a==1")
        monkeypatch.setattr(environment, name, lock)
    monkeypatch.setattr(environment, "STAMP", tmp_path / "installed.json")
    stamp = {environment.RUN_LOCK.name: sha256_of(environment.RUN_LOCK)}
    environment.STAMP.write_text(json.dumps(stamp))
    monkeypatch.setattr(setup.java, "is_chosen", lambda: True)
    monkeypatch.setattr(setup.jars, "are_fetched", lambda name: True)

    def refuse(lock: Path, *, what: str) -> None:
        raise SetupError(f"cannot install {what}: no package index can be reached")

    monkeypatch.setattr(environment, "pip_install", refuse)
    assert setup.main(["--report"]) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(
        "set-up: the HTML page of the run is left out: cannot install the packages of "
    )
    assert json.loads(environment.STAMP.read_text()) == stamp
    monkeypatch.setattr(environment, "pip_install", lambda lock, *, what: None)
    assert setup.main(["--report"]) == 0
    assert environment.has_report()
    assert environment.is_installed(dev=False)
    assert setup.main(["--report"]) == 0
    assert capsys.readouterr().err.count("installs the packages of the HTML pages") == 1
