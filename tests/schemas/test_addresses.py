"""Which addresses hold a secret, and what is left of them without it."""

from __future__ import annotations

import pytest

from schemas.addresses import holds_secret, secret_argument, without_secrets

SECRET = {
    "a ftp://u:p@host/x s3a://K:S/ecret@bucket": "a ftp://host/x s3a://bucket",
    "s3a://me:hidden@bucket/sales": "s3a://bucket/sales",
    "s3a://AKIA1:hid/den+1=@bucket": "s3a://bucket",
    "hdfs://:hidden@host:8020/sales": "hdfs://host:8020/sales",
    "https://host/sales?sv=1&sig=hidden&se=2": "https://host/sales?sv=1&sig=...&se=2",
    "jdbc:sqlserver://host;password=hidden;user=me": "jdbc:sqlserver://host;password=...;user=me",
    "run_batch --lake wasb://me:hidden@host/lake --dry-run": "run_batch --lake wasb://host/lake --dry-run",
}
HARMLESS = [
    "/data/landing",
    "hdfs://name-node:8020/sales/a@b",
    "hdfs://name-node:8020",
    "abfss://container@account.dfs.core.windows.net/sales",
    "s3a://bucket/a:b@c",
    "http://[::1]:8020/a@b",
    "k8s://https://api:6443",
    "file:///a/b?c=d&design=e",
    "sig=ma",
    "a: b@c",
]


@pytest.mark.parametrize(("text", "rest"), list(SECRET.items()))
def test_a_password_in_an_address_is_found_and_taken_out(text: str, rest: str) -> None:
    assert holds_secret(text)
    assert without_secrets(text) == rest


@pytest.mark.parametrize("text", HARMLESS)
def test_an_address_without_one_stays_as_it_is(text: str) -> None:
    assert not holds_secret(text)
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--dry-run", "--lake", "s3a://me:hidden@b"], "--lake"),
        (["--lake=s3a://me:hidden@b"], "--lake"),
        (["--set", "storage.lake=s3a://me:hidden@b"], "--set storage.lake"),
        (["--set=storage.lake=s3a://me:hidden@b"], "--set=storage.lake"),
        (["--dry-run", "--set", "a='hidden' s3a://me:hidden@b"], "--set a"),
        (["s3a://me:hidden@b"], "an argument"),
        (["--lake", "s3a://b", "--date", "2026-03-02"], None),
    ],
)
def test_the_option_of_a_secret_is_named_without_its_value(arguments: list[str], name: str | None) -> None:
    assert secret_argument(arguments) == name
