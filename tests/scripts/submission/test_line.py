"""The spark-submit line of each place: what it holds, and what never stands in it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from scripts.submission import class_archive
from scripts.submission import line as line_module
from scripts.submission.line import Line, line_in_client_mode, line_in_cluster_mode
from scripts.submission.request import ROOT, Request, SubmissionError, read_properties, read_request

SPARK_HOME = next((ROOT / ".venv" / "lib").glob("python3*/site-packages/pyspark"))
MASTERS = {
    "local": "local[2,4]",
    "standalone": "spark://head:7077",
    "yarn": "yarn",
    "kubernetes": "k8s://https://api:6443",
}


def request(place: str = "local", mode: str = "client", job: str = "run_batch", **variables: str) -> Request:
    given = ["--place", place, "--master", MASTERS[place], "--deploy-mode", mode, job, "--date", "2026-01-05"]
    own = {"SPARK_HOME": str(SPARK_HOME), "JAVA_HOME": "/java", "CYMBAL_PID": "7", **variables}
    read = read_request(given)
    return Request(**{**vars(read), "environment": own})


def settings(line: Line) -> dict[str, str]:
    """Settings by name; a later one wins."""
    words = line.arguments
    pairs = [words[at + 1].partition("=") for at, word in enumerate(words) if word == "--conf"]
    return {name: value for name, _, value in pairs}


def following(line: Line, word: str) -> str:
    return line.arguments[line.arguments.index(word) + 1]


@pytest.mark.parametrize("place", list(MASTERS))
def test_client_mode_runs_the_jobs_file_with_the_places_settings(place: str) -> None:
    line = line_in_client_mode(request(place))
    assert line.arguments[0] == f"{SPARK_HOME}/bin/spark-submit"
    assert following(line, "--master") == MASTERS[place]
    assert following(line, "--deploy-mode") == "client"
    assert following(line, "--properties-file") == str(ROOT / "configs" / "places" / f"{place}.conf")
    assert line.arguments[-3:] == [str(ROOT / "jobs" / "run_batch.py"), "--date", "2026-01-05"]
    assert line.variables["CYMBAL_PLACE"] == place


def test_the_printed_line_is_one_that_a_shell_takes_as_it_is() -> None:
    line = line_in_client_mode(request(CYMBAL_SPARK_ARGS="--conf 'spark.app.name=two words'"))
    words = shlex.split(line.describe())
    assert "\n" not in line.describe()
    assert words[0] == "env"
    assert words[-len(line.arguments) :] == line.arguments
    assert settings(line)["spark.app.name"] == "two words"


def test_java_options_of_the_environment_are_handed_on_and_taken_from_it() -> None:
    line = line_in_client_mode(request(JAVA_TOOL_OPTIONS="-Duser.mine=1"))
    assert following(line, "--driver-java-options") == "-Duser.mine=1"
    assert "-u JAVA_TOOL_OPTIONS" in line.describe()
    assert line.environment({"JAVA_TOOL_OPTIONS": "-Dmine=1", "HOME": "/me"})["HOME"] == "/me"
    assert "JAVA_TOOL_OPTIONS" not in line.environment({"JAVA_TOOL_OPTIONS": "-Dmine=1"})


def test_the_callers_settings_stand_after_the_bundles_own_so_that_they_win() -> None:
    own = "--conf spark.driver.defaultJavaOptions=-Xmine"
    assert settings(line_in_client_mode(request(CYMBAL_SPARK_ARGS=own)))[
        "spark.driver.defaultJavaOptions"
    ] == ("-Xmine")


def test_yarn_in_cluster_mode_ships_the_bundle_and_the_config_and_runs_its_python() -> None:
    asked = request("yarn", "cluster")
    line = line_in_cluster_mode(
        asked, ["--config", "mine.yaml"], Path("/b/bundle.tar.gz"), [Path("/c/mine.yaml"), Path("/c/a.sql")]
    )
    assert following(line, "--archives") == "/b/bundle.tar.gz#cymbal"
    assert following(line, "--files") == "/c/mine.yaml,/c/a.sql"
    assert settings(line)["spark.yarn.appMasterEnv.PYSPARK_PYTHON"] == "./cymbal/bin/python"
    assert following(line, "--deploy-mode") == "cluster"


def test_kubernetes_in_cluster_mode_runs_what_the_image_holds() -> None:
    asked = request(
        "kubernetes", "cluster", CYMBAL_IMAGE="registry/cymbal:1", CYMBAL_STAGING="s3a://b/staging"
    )
    line = line_in_cluster_mode(asked, [], None, ())
    found = settings(line)
    assert line.arguments[-1] == "local:///opt/cymbal/jobs/run_batch.py"
    assert all(jar.startswith("local:///opt/cymbal/jars/") for jar in following(line, "--jars").split(","))
    assert found["spark.kubernetes.container.image"] == "registry/cymbal:1"
    assert found["spark.kubernetes.file.upload.path"] == "s3a://b/staging"
    assert found["spark.pyspark.python"] == "/opt/cymbal/bin/python"


def test_standalone_in_cluster_mode_goes_through_sparks_own_runner_of_python() -> None:
    line = line_in_cluster_mode(request("standalone", "cluster"), ["--result", "/r.json"], None, ())
    assert following(line, "--class") == "org.apache.spark.deploy.PythonRunner"
    # Its arguments: the program, further Python files (none), the job's own.
    assert line.arguments[-4:] == [str(ROOT / "jobs" / "run_batch.py"), "", "--result", "/r.json"]
    assert (
        "--add-opens=java.base/sun.util.calendar=ALL-UNNAMED"
        in settings(line)["spark.driver.extraJavaOptions"]
    )


def test_the_callers_java_options_stand_beside_what_a_driver_on_a_worker_needs() -> None:
    asked = request(
        "standalone", "cluster", CYMBAL_SPARK_ARGS="--conf spark.driver.extraJavaOptions=-Duser.mine=1"
    )
    options = settings(line_in_cluster_mode(asked, [], None, ()))["spark.driver.extraJavaOptions"].split()
    assert "-Duser.mine=1" in options
    assert "--add-opens=java.base/sun.util.calendar=ALL-UNNAMED" in options


@pytest.mark.parametrize(
    "name",
    [
        "spark.hadoop.fs.s3a.secret.key",
        "spark.hadoop.fs.s3a.access.key",
        "spark.hadoop.fs.s3a.encryption.key",
        "spark.hadoop.fs.azure.account.key.me.dfs.core.windows.net",
        "spark.hadoop.a.setting.of.a.house",
        "spark.ssl.keyPassword",
        "spark.my.token",
        "spark.sql.catalog.unity.token",
        "spark.executorEnv.DATABASE",
        "spark.openlineage.transport.auth.apiKey.token",
    ],
)
@pytest.mark.parametrize("form", ["--conf {}=hidden", "--conf={}=hidden", "-c {}=hidden"])
def test_a_secret_on_the_command_line_is_refused_by_name_and_not_told(name: str, form: str) -> None:
    with pytest.raises(SubmissionError, match=name) as refused:
        line_in_client_mode(request(CYMBAL_SPARK_ARGS=f"--conf spark.app.name=b {form.format(name)}"))
    assert "hidden" not in str(refused.value)
    assert "SPARK_CONF_DIR" in str(refused.value)


@pytest.mark.parametrize(
    "setting",
    [
        "spark.kubernetes.driver.secrets.keys=/etc/keys",
        "spark.executor.defaultJavaOptions=-Duser.language=en -XX:-DontCompileHugeMethods -Xlog:disable",
        "spark.kubernetes.driver.secretKeyRef.AWS_SECRET_ACCESS_KEY=keys:secret",
        "spark.kubernetes.authenticate.oauthTokenFile=/run/token",
        "spark.sql.shuffle.partitions=8",
        "spark.hadoop.fs.s3a.endpoint=http://127.0.0.1:7070",
        "spark.hadoop.fs.s3a.aws.credentials.provider=a.Class",
        "spark.hadoop.hive.metastore.uris=thrift://host:9083",
        "spark.sql.catalog.unity.uri=http://host",
        "spark.executorEnv.TZ=UTC",
        "spark.executor.extraJavaOptions=-XX:+UseG1GC -Duser.language=en",
    ],
)
def test_what_only_names_a_secret_is_none(setting: str) -> None:
    name, _, value = setting.partition("=")
    assert settings(line_in_client_mode(request(CYMBAL_SPARK_ARGS=f"--conf '{setting}'")))[name] == value


@pytest.mark.parametrize(
    "words",
    [
        "--driver-java-options -Djavax.net.ssl.keyStorePassword=hidden",
        "--driver-java-options=-Dof.a.house=hidden",
        "--conf 'spark.driver.extraJavaOptions=-Xss1m -DkeyStorePassword=hidden'",
        "--conf spark.sql.catalog.pg.url=jdbc:postgresql://host/db?user=me&password=hidden",
        "--conf spark.eventLog.dir=s3a://me:hidden@bucket",
        "--repositories https://me:hidden@repository",
        "https://me:hidden@repository",
    ],
)
def test_a_secret_in_a_value_is_refused_and_not_told(words: str) -> None:
    with pytest.raises(SubmissionError, match="SPARK_CONF_DIR") as refused:
        line_in_client_mode(request(CYMBAL_SPARK_ARGS=words))
    assert "hidden" not in str(refused.value)


def test_options_of_spark_submit_are_handed_on() -> None:
    own = (
        "--driver-memory 1g --executor-cores=2 --packages a:b:1 --principal me@REALM --keytab /etc/me.keytab"
    )
    assert shlex.split(own)[0] in line_in_client_mode(request(CYMBAL_SPARK_ARGS=own)).arguments


def test_defaults_of_the_users_own_folder_are_loaded_beside_the_places() -> None:
    assert "--load-spark-defaults" in line_in_client_mode(request(SPARK_CONF_DIR="/mine")).arguments
    assert "--load-spark-defaults" not in line_in_client_mode(request()).arguments


def test_jars_of_the_bundle_are_on_the_class_path_unless_packages_must_see_them(tmp_path: Path) -> None:
    assert "--driver-class-path" in line_in_client_mode(request()).arguments
    for own in ("--packages a:b:1", "--conf spark.jars.packages=a:b:1"):
        line = line_in_client_mode(request(CYMBAL_SPARK_ARGS=own))
        assert "--driver-class-path" not in line.arguments
        assert "delta-spark" in following(line, "--jars")
    defaults = tmp_path / "spark-defaults.conf"
    defaults.write_text("spark.sql.catalog.unity  a.Catalog\n")
    assert "--driver-class-path" in line_in_client_mode(request(SPARK_CONF_DIR=str(tmp_path))).arguments
    defaults.write_text("spark.jars.packages  a:b:1\n")
    assert "--driver-class-path" not in line_in_client_mode(request(SPARK_CONF_DIR=str(tmp_path))).arguments


@pytest.mark.parametrize(
    "variables",
    [
        {"SPARK_CONF_DIR": "/mine"},
        {"HADOOP_CONF_DIR": "/etc/hadoop"},
        {"YARN_CONF_DIR": "/etc/hadoop"},
        {"CYMBAL_SPARK_ARGS": "--packages a:b:1"},
        {"CYMBAL_SPARK_ARGS": "--driver-class-path /mine"},
    ],
)
def test_no_archive_of_classes_is_left_behind_by_another_class_path(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_archive, "ROOT", tmp_path)  # where no archive is yet
    option, var = "spark.driver.defaultJavaOptions", {"CYMBAL_VAR": str(tmp_path)}
    assert "-XX:ArchiveClassesAtExit" in settings(line_in_client_mode(request(**var)))[option]
    others = settings(line_in_client_mode(request(**variables, **var)))
    assert "-XX:ArchiveClassesAtExit" not in others[option]


@pytest.mark.parametrize("place", ["standalone", "yarn", "kubernetes"])
def test_a_driver_on_a_cluster_never_sees_who_gets_messages(place: str) -> None:
    given = request(place, "cluster", CYMBAL_NOTIFY="slack://SECRET", CYMBAL_STAGING="hdfs:///staging")
    line = line_in_cluster_mode(given, [], None, ())
    assert "SECRET" not in line.describe()
    assert line.environment(given.environment)["CYMBAL_NOTIFY"] == "submitter"
    name = {"yarn": "spark.yarn.appMasterEnv", "kubernetes": "spark.kubernetes.driverEnv"}.get(place)
    if name is not None:
        assert settings(line)[f"{name}.CYMBAL_NOTIFY"] == "submitter"
    silent = line_in_cluster_mode(request(place, "cluster", CYMBAL_STAGING="hdfs:///s"), [], None, ())
    assert "CYMBAL_NOTIFY" not in silent.describe()


def test_quotes_that_do_not_match_are_told() -> None:
    with pytest.raises(SubmissionError, match="its quotes do not match"):
        line_in_client_mode(request(CYMBAL_SPARK_ARGS="--conf 'spark.a=b"))


def test_an_event_log_goes_to_a_folder_that_is_made(tmp_path: Path) -> None:
    found = settings(line_in_client_mode(request(CYMBAL_EVENTS=str(tmp_path / "events"))))
    assert found["spark.eventLog.dir"] == (tmp_path / "events").as_uri()
    assert (tmp_path / "events").is_dir()


def test_lineage_goes_to_a_server_or_a_file(tmp_path: Path) -> None:
    found = settings(line_in_client_mode(request(CYMBAL_LINEAGE="https://lineage:5000/api/v2/lineage")))
    assert found["spark.openlineage.transport.type"] == "http"
    assert found["spark.openlineage.transport.url"] == "https://lineage:5000"
    assert found["spark.openlineage.transport.endpoint"] == "/api/v2/lineage"
    found = settings(line_in_client_mode(request(CYMBAL_LINEAGE=str(tmp_path / "a" / "lineage.jsonl"))))
    assert found["spark.openlineage.transport.location"] == str(tmp_path / "a" / "lineage.jsonl")
    assert (tmp_path / "a").is_dir()


def test_lineage_to_anything_else_is_refused() -> None:
    with pytest.raises(SubmissionError, match="CYMBAL_LINEAGE=kafka://b: the path of a file, or http"):
        line_in_client_mode(request(CYMBAL_LINEAGE="kafka://b"))


def test_the_form_of_the_log_is_one_that_there_is() -> None:
    line = line_in_client_mode(request(CYMBAL_LOG_FORMAT="json"))
    assert str(line.variables["LOG4J_CONFIGURATION_FILE"]).endswith("log4j2-json.properties")
    with pytest.raises(SubmissionError, match="CYMBAL_LOG_FORMAT=xml: one of text, json"):
        line_in_client_mode(request(CYMBAL_LOG_FORMAT="xml"))


def test_every_log_configuration_is_there() -> None:
    assert all((ROOT / "configs" / name).is_file() for name in line_module.LOG_CONFIGURATIONS.values())


@pytest.mark.parametrize("place", ["standalone", "yarn", "kubernetes"])
def test_executors_write_ascii_digits_beside_the_options_of_the_user(place: str) -> None:
    # Default options stand in front of spark.executor.extraJavaOptions, which stay the user's.
    settings = read_properties(ROOT / "configs" / "places" / f"{place}.conf")
    assert "-Duser.language=en" in settings["spark.executor.defaultJavaOptions"].split()
    assert "spark.executor.extraJavaOptions" not in settings
