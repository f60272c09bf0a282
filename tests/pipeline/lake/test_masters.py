from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from pipeline.lake.masters import refusal_of


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """An address at which nobody listens: its port was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_of_a_cluster_that_accepts_connections_all_causes_are_named(listening: str, closed: str) -> None:
    for addresses in (listening, f"{closed},{listening}"):
        text = str(refusal_of(f"spark://{addresses}"))
        assert text.startswith(f"spark://{addresses} accepts connections, but did not take this run: ")
        for cause in ("hangs", "standby", "CYMBAL_CLUSTER_SECRET", "its Spark is not 4.2.0"):
            assert cause in text


def test_a_cluster_that_is_not_there_is_named(closed: str) -> None:
    for address in (closed, "127.0.0.1", "127.0.0.1:seven"):
        refusal = refusal_of(f"spark://{address}")
        assert refusal.exit_code == 75
        assert str(refusal) == f"spark://{address}: no master is there"
