"""Explains why a standalone cluster did not take a run. Spark itself writes the reason only into its log."""

from __future__ import annotations

import socket

from schemas.errors import SalesBatchError, TryAgainError, UsageError

STANDALONE = "spark://"
_SECONDS = 5


def refusal_of(master: str) -> SalesBatchError:
    """Returns the error of a run that no master of a cluster took.

    Args:
        master: Spark's address of the cluster: ``spark://HOST:PORT``, or several ``HOST:PORT`` with commas.
    """
    if any(_is_open(address) for address in master.removeprefix(STANDALONE).split(",")):
        return UsageError(
            f"{master} answers, but does not take this run: CYMBAL_CLUSTER_SECRET must name a file with the"
            " secret of the cluster if it has one, and the cluster must run the same version of Spark"
        )
    return TryAgainError(f"{master}: no master answers there")


def _is_open(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS):
            return True
    except (OSError, ValueError):
        return False
