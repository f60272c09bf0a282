"""Explains why a standalone cluster did not take a run. Spark itself writes the reason only into its log."""

from __future__ import annotations

import socket

from pyspark import __version__ as spark_version

from schemas.errors import TryAgainError

STANDALONE = "spark://"
_SECONDS = 5


def refusal_of(master: str) -> TryAgainError:
    """Returns the error of a run that no master of a cluster took.

    A master that hangs cannot be told from one that refuses: both accept connections. So each is tried again.

    Args:
        master: Spark's address of the cluster: ``spark://HOST:PORT``, or several ``HOST:PORT`` with commas.
    """
    if any(_is_open(address) for address in master.removeprefix(STANDALONE).split(",")):
        return TryAgainError(
            f"{master} accepts connections, but did not take this run: it hangs or is on standby; or it has a"
            " secret, which a file named by CYMBAL_CLUSTER_SECRET must hold; or its Spark is not"
            f" {spark_version}"
        )
    return TryAgainError(f"{master}: no master is there")


def _is_open(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS):
            return True
    except (OSError, ValueError):
        return False
