"""One cluster for all tests of recovery on workers.

What is about a driver alone, its commits and what it finds of others, runs in the local place, where it
starts sooner. The two groups run side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster

LANES = {"workers", "drivers"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.path).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(2400))
            if len(LANES & {mark.name for mark in item.iter_markers()}) != 1:
                raise pytest.UsageError(
                    f"{item.nodeid}: marked as one of {', '.join(sorted(LANES))}, or never run"
                )


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for all tests; its last worker has a disk of 300 MB where that may be mounted."""
    found = Cluster(tmp_path_factory.mktemp("cluster") / "home")
    found.start()
    yield found
    found.command("stop")


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """No cluster: for the local place."""
    return Cluster(tmp_path_factory.mktemp("here"))
