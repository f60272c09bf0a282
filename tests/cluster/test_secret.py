"""A standalone cluster that asks for a secret: it works for who knows it, and for nobody else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cluster.nights import Nights
from tests.support.cluster import Cluster

pytestmark = pytest.mark.workers
VARIABLE = "CYMBAL_CLUSTER_SECRET"
SECRET = "known-to\\this=cluster-alone"


def secret_file(folder: Path, secret: str) -> Path:
    file = folder / f"secret-{len(secret)}"
    file.touch(mode=0o600)
    file.write_text(secret)
    return file


def command_lines() -> dict[str, bool]:
    """Whether the secret is among the arguments of processes, by the argument that tells what each is."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            arguments = process.cmdline()
            names = [word for word in arguments if word.endswith(("Backend", ".py", "Worker", "Master"))]
            if names:
                found[names[0]] = any(SECRET in word for word in arguments)
    return found


@pytest.fixture
def secret_cluster(tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path / "home")
    found.start("--workers", "2", "--secret", str(secret_file(tmp_path, SECRET)))
    yield found
    found.command("stop")


def test_only_who_knows_the_secret_is_served(secret_cluster: Cluster, tmp_path: Path) -> None:
    nights = Nights(tmp_path, tmp_path / "lake")
    nights.deliver(0)

    run = secret_cluster.submit("run_batch", *nights.arguments)
    seen: dict[str, bool] = {}  # whether the secret is on a command line, by main class or program
    while run.poll() is None:
        seen |= command_lines()
        time.sleep(0.5)
    said, _ = run.communicate()
    assert run.returncode == 0, said
    assert SECRET not in said
    published = nights.content()
    for program in ("CoarseGrainedExecutorBackend", "run_batch.py"):
        assert any(name.endswith(program) for name in seen), program
    assert not any(seen.values()), seen

    nights.deliver(1)
    del secret_cluster.variables[VARIABLE]
    refused = {"none": secret_cluster.run("run_batch", *nights.arguments)}
    secret_cluster.variables[VARIABLE] = str(secret_file(tmp_path, "of another cluster"))
    refused["wrong"] = secret_cluster.run("run_batch", *nights.arguments)
    for code, said in refused.values():
        assert code == 75, said
        assert f"{secret_cluster.variables['CYMBAL_MASTER']} accepts connections, but did not take" in said
        assert SECRET not in said
        assert "Traceback" not in said
    assert nights.content() == published


def test_a_secret_that_others_can_read_starts_no_cluster(tmp_path: Path) -> None:
    file = secret_file(tmp_path, SECRET)
    file.chmod(0o644)
    cluster = Cluster(tmp_path / "home")
    started = cluster.command("start", "--secret", str(file))
    assert started.returncode == 2
    assert started.stderr.startswith(f"error: --secret {file}: every user of this host can read it")
    assert cluster.command("status").returncode == 1
