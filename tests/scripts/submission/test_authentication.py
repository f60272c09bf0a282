"""The secret of a standalone cluster: where it comes from, and that nothing shows it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from scripts.submission.authentication import SPARK_VARIABLE
from scripts.submission.line import Line, line_in_client_mode, line_in_cluster_mode
from scripts.submission.request import SubmissionError
from tests.scripts.submission.test_line import request, settings

ON = {"spark.authenticate": "true", "spark.network.crypto.enabled": "true"}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "a secret"
    file.write_text("hidden\n")
    file.chmod(0o600)
    return file


def lines(place: str, **variables: str) -> list[Line]:
    client = line_in_client_mode(request(place, **variables))
    return [client, line_in_cluster_mode(request(place, "cluster", **variables), [], None)]


def test_a_given_secret_turns_authentication_and_encryption_on_and_is_not_shown(secret: Path) -> None:
    for line in lines("standalone", CYMBAL_CLUSTER_SECRET=str(secret)):
        assert settings(line).items() >= ON.items()
        assert "hidden" not in line.describe()
        environment = line.environment({"HOME": "/me"})
        assert environment[SPARK_VARIABLE] == "hidden"
        assert not [
            name for name, value in environment.items() if value == "hidden" and name != SPARK_VARIABLE
        ]


def test_the_printed_line_takes_the_secret_from_its_file(secret: Path) -> None:
    printed = line_in_client_mode(request("standalone", CYMBAL_CLUSTER_SECRET=str(secret))).describe()
    before, _, _ = printed.partition(" env ")
    told = subprocess.run(
        ["sh", "-c", f"{before} sh -c 'echo \"${SPARK_VARIABLE}\"'"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "hidden\n"
    assert shlex.split(printed)[0].startswith(f"{SPARK_VARIABLE}=")


def test_a_secret_in_the_users_defaults_turns_them_on_too(tmp_path: Path) -> None:
    defaults = tmp_path / "spark-defaults.conf"
    defaults.write_text("spark.authenticate.secret  hidden\n")
    for line in lines("standalone", SPARK_CONF_DIR=str(tmp_path)):
        assert settings(line).items() >= ON.items()
        assert "hidden" not in line.describe()
    defaults.write_text("# spark.authenticate.secret  hidden\n")
    for line in lines("standalone", SPARK_CONF_DIR=str(tmp_path)):
        assert not settings(line).keys() & ON.keys()


def test_without_a_secret_and_elsewhere_nothing_is_set(secret: Path, tmp_path: Path) -> None:
    for line in lines("standalone"):
        assert not settings(line).keys() & ON.keys()
        assert SPARK_VARIABLE not in line.environment({})
    (tmp_path / "spark-defaults.conf").write_text("spark.authenticate.secret hidden\n")
    given = {"CYMBAL_CLUSTER_SECRET": str(secret), "SPARK_CONF_DIR": str(tmp_path)}
    for place in ("local", "yarn", "kubernetes"):
        line = line_in_client_mode(request(place, **given))
        assert not settings(line).keys() & ON.keys()  # the places' files turn them on
        assert SPARK_VARIABLE not in line.environment({})


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (None, 0o600, "No such file"),
        (b" \n", 0o600, "is empty"),
        (b"hidden\nspark.x y\n", 0o600, "holds several lines"),
        (b"hidden", 0o604, "every user of this host can read it: chmod o-r"),
        (b"\xff", 0o600, "not a text"),
    ],
)
def test_a_file_that_is_no_secret_is_refused(
    content: bytes | None, mode: int, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
        file.chmod(mode)
    with pytest.raises(SubmissionError, match=said) as refused:
        line_in_client_mode(request("standalone", CYMBAL_CLUSTER_SECRET=str(file)))
    assert str(refused.value).startswith(f"CYMBAL_CLUSTER_SECRET={file}: ")
    assert "hidden" not in str(refused.value)
