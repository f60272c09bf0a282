from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from pipeline.lake.masters import refusal_of
from schemas.errors import TryAgainError, UsageError


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """An address at which nobody listens: its port was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_a_cluster_that_answers_wants_a_secret_or_another_spark(listening: str, closed: str) -> None:
    for addresses in (listening, f"{closed},{listening}"):
        refusal = refusal_of(f"spark://{addresses}")
        assert isinstance(refusal, UsageError)
        assert str(refusal).startswith(
            f"spark://{addresses} answers, but does not take this run: CYMBAL_CLUSTER_SECRET"
        )


def test_a_cluster_that_does_not_answer_is_named(closed: str) -> None:
    for address in (closed, "127.0.0.1", "127.0.0.1:seven"):
        refusal = refusal_of(f"spark://{address}")
        assert isinstance(refusal, TryAgainError)
        assert str(refusal) == f"spark://{address}: no master answers there"
