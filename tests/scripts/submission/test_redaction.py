"""What Spark is told to hide: every setting and property that may hold a secret, and not the others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.submission.line import line_in_client_mode, line_in_cluster_mode
from tests.scripts.submission.test_line import request, settings

HIDDEN = [
    "spark.hadoop.fs.azure.account.key.me.dfs.core.windows.net",
    "fs.azure.account.key.me.dfs.core.windows.net",
    "fs.s3a.encryption.key",
    "spark.ssl.keyPassword",
    "javax.net.ssl.keyStorePassword",
    "spark.authenticate.secret",
    "spark.openlineage.transport.auth.apiKey",
]
SHOWN = ["spark.app.name", "spark.executor.memory", "spark.hadoop.fs.s3a.endpoint", "user.language"]


def hides(name: str, **variables: str) -> bool:
    client = settings(line_in_client_mode(request(**variables)))["spark.redaction.regex"]
    cluster = line_in_cluster_mode(request("standalone", "cluster", **variables), [], None)
    assert settings(cluster)["spark.redaction.regex"] == client
    return re.search(client, name) is not None


@pytest.mark.parametrize("name", HIDDEN)
def test_a_name_that_tells_a_secret_is_hidden(name: str) -> None:
    assert hides(name)


@pytest.mark.parametrize("name", SHOWN)
def test_other_names_are_shown(name: str) -> None:
    assert not hides(name)


def test_settings_and_properties_of_unknown_names_are_hidden_one_by_one(tmp_path: Path) -> None:
    defaults = tmp_path / "spark-defaults.conf"
    defaults.write_text("spark.hadoop.of.a.house  hidden\nspark.eventLog.rolling.enabled true\n")
    given = {"SPARK_CONF_DIR": str(tmp_path), "JAVA_TOOL_OPTIONS": "-Dcode.of.door=1 -Duser.language=en"}
    for name in ("of.a.house", "spark.hadoop.of.a.house", "code.of.door"):
        assert hides(name, **given)
        assert not hides(name)
    for name in ("spark.eventLog.rolling.enabled", "user.language", "of.a.houses", "code_of.door"):
        assert not hides(name, **given)


def test_an_expression_of_the_users_own_stays_in_force(tmp_path: Path) -> None:
    (tmp_path / "spark-defaults.conf").write_text("spark.redaction.regex  shop|till\n")
    for name in ("spark.shop.x", "spark.till.x", "spark.my.secret"):
        assert hides(name, SPARK_CONF_DIR=str(tmp_path))
    assert not hides("spark.shop.x")
