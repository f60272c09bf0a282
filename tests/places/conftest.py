"""Storage and clusters as they are met in production, started here for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.nights import Nights
from tests.places.hadoop import Hadoop
from tests.places.s3 import S3Server
from tests.places.submission import Place


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.path).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.places)
            item.add_marker(pytest.mark.timeout(1800))  # the first one builds the S3 server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server for all tests."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def hadoop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hadoop]:
    """HDFS and YARN for all tests."""
    cluster = Hadoop(tmp_path_factory.mktemp("hadoop") / "home")
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    """Two nights on this disk, with a late line, a copy, a conflict and a drop delivered again."""
    folder = tmp_path_factory.mktemp("landed")
    nights = Nights(folder, folder / "lake")
    for night in range(2):
        nights.deliver(night)
    return nights


@pytest.fixture(scope="session")
def clean_content(landed: Nights) -> dict[str, list[str]]:
    """Tables of the two nights, by one run on this disk that nothing disturbs."""
    Place([], landed.folder).done("run_batch", *landed.arguments)
    return landed.content()
