"""A submission refuses what a command line would show to every user of the host."""

from __future__ import annotations

import subprocess
import sys

import pytest

from scripts.submission.request import ROOT, Request, SubmissionError
from scripts.submission.secrets import refuse_secret_addresses
from tests.scripts.submission.test_line import request


def asked(*arguments: str, **variables: str) -> Request:
    return Request(**{**vars(request(**variables)), "arguments": arguments})


@pytest.mark.parametrize("option", ["--landing", "--lake", "--result", "--report", "--config"])
def test_a_password_in_an_address_of_the_job_is_refused_and_not_told(option: str) -> None:
    with pytest.raises(SubmissionError, match=f"run_batch: {option}: .*SPARK_CONF_DIR") as refused:
        refuse_secret_addresses(asked("--dry-run", option, "s3a://me:hidden@bucket/sales"))
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("name", ["CYMBAL_LINEAGE", "CYMBAL_METRICS", "CYMBAL_EVENTS", "CYMBAL_STAGING"])
def test_a_password_in_an_address_of_the_environment_is_refused_and_not_told(name: str) -> None:
    with pytest.raises(SubmissionError, match=f"{name}: .*SPARK_CONF_DIR") as refused:
        refuse_secret_addresses(asked(**{name: "https://me:hidden@host/api"}))
    assert "hidden" not in str(refused.value)


def test_receivers_and_mirrors_are_secrets_of_the_environment() -> None:
    own = {
        "CYMBAL_NOTIFY": "mailtos://me:hidden@host",
        "CYMBAL_MAVEN_MIRROR": "https://me:hidden@host",
        "https_proxy": "http://me:hidden@proxy:3128",
    }
    refuse_secret_addresses(asked("--lake", "s3a://bucket/sales", **own))


@pytest.mark.parametrize("mode", ["client", "cluster"])
def test_nothing_starts_and_nothing_is_printed_for_one(mode: str) -> None:
    place = ["--place", "standalone", "--master", "spark://127.0.0.1:1", "--deploy-mode", mode]
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.submission", *place, "run_batch", "--lake=s3a://me:hidden@bucket"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: run_batch: --lake: the address holds a password")
    assert len(ran.stderr.splitlines()) == 1
    assert "hidden" not in ran.stderr
