"""A standalone cluster that asks for a secret: it works for who knows it, and for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.nights import Nights
from tests.cluster.test_cluster import processes_of
from tests.support.cluster import Cluster

pytestmark = pytest.mark.workers
VARIABLE = "CYMBAL_CLUSTER_SECRET"
SECRET = "known-to-this-cluster-alone"


def secret_file(folder: Path, secret: str) -> Path:
    file = folder / f"secret-{len(secret)}"
    file.touch(mode=0o600)
    file.write_text(secret)
    return file


@pytest.fixture
def secret_cluster(tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path / "home")
    found.start("--workers", "2", "--secret", str(secret_file(tmp_path, SECRET)))
    yield found
    found.command("stop")


def test_only_who_knows_the_secret_is_served(secret_cluster: Cluster, tmp_path: Path) -> None:
    nights = Nights(tmp_path, tmp_path / "lake")
    nights.deliver(0)

    code, said = secret_cluster.run("run_batch", *nights.arguments)
    assert code == 0, said
    published = nights.content()
    assert SECRET not in said
    assert not any(
        SECRET in argument for process in processes_of(secret_cluster.home) for argument in process.cmdline()
    )

    nights.deliver(1)
    del secret_cluster.variables[VARIABLE]
    refused = {"none": secret_cluster.run("run_batch", *nights.arguments)}
    secret_cluster.variables[VARIABLE] = str(secret_file(tmp_path, "of another cluster"))
    refused["wrong"] = secret_cluster.run("run_batch", *nights.arguments)
    for code, said in refused.values():
        assert code == 2, said
        assert f"{secret_cluster.variables['CYMBAL_MASTER']} answers, but does not take this run" in said
        assert "Traceback" not in said
    assert nights.content() == published


def test_a_secret_that_others_can_read_starts_no_cluster(tmp_path: Path) -> None:
    file = secret_file(tmp_path, SECRET)
    file.chmod(0o644)
    cluster = Cluster(tmp_path / "home")
    started = cluster.command("start", "--secret", str(file))
    assert started.returncode == 2
    assert "every user of this host can read it" in started.stderr
    assert cluster.command("status").returncode == 1
