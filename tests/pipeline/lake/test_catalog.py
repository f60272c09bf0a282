"""A catalog's answers, and what of them is asked for: rights that a run need not have are not needed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from py4j.protocol import Py4JJavaError

from pipeline.lake.catalog import Catalog
from schemas.errors import UsageError


class ConnectorError(Py4JJavaError):  # type: ignore[misc]
    """What a connector's exception becomes in Python."""

    def __init__(self, text: str) -> None:
        Exception.__init__(self, text)
        self.java_exception = SimpleNamespace(toString=lambda: text)


class Session:
    """What Catalog uses of a session: a catalog that has these schemas, and lets make none."""

    def __init__(self, *schemas: str, is_down: bool = False) -> None:
        self.catalog = self
        self.requested: list[str] = []
        self._schemas = schemas
        self._is_down = is_down

    def databaseExists(self, name: str) -> bool:  # noqa: N802  # Spark's name
        if self._is_down:
            raise ConnectorError(
                "a.b.ApiException: java.net.ConnectException\n\tat a.b.Client.call(Client.java:7)"
            )
        return name in self._schemas

    def sql(self, statement: str) -> Any:
        self.requested.append(statement)
        raise ConnectorError(
            "a.b.ApiException: createSchema call failed: 403 Access denied.\n\tat a.b.Client.call"
        )


def test_a_schema_that_is_there_is_not_made() -> None:
    session: Any = Session("`unity`.`sales`")
    Catalog(session, "unity.sales").prepare()
    assert session.requested == []


def test_what_a_connector_throws_is_told_as_a_refusal_in_one_line() -> None:
    session: Any = Session()
    with pytest.raises(UsageError) as refused:
        Catalog(session, "unity.sales").prepare()
    assert session.requested == ["CREATE SCHEMA IF NOT EXISTS `unity`.`sales`"]
    assert str(refused.value) == (
        "storage.catalog unity.sales: a.b.ApiException: createSchema call failed: 403 Access denied."
    )


def test_a_catalog_that_cannot_be_reached_is_told_by_what_its_connector_says() -> None:
    session: Any = Session(is_down=True)
    with pytest.raises(UsageError, match=r"storage\.catalog unity\.sales: .*java\.net\.ConnectException$"):
        Catalog(session, "unity.sales").prepare()
