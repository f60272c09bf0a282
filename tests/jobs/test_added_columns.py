"""A received column is one entry of the contract: all else follows from it, on lakes of before, too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "added_columns.py"
ROOT = Path(__file__).resolve().parents[2]


# The default suite takes a column of each kind the same way from a config: tests/jobs/test_own_contract.py.
@pytest.mark.slow
def test_a_column_of_each_kind_is_received_checked_hashed_published_compared_and_replayed(
    tmp_path: Path,
) -> None:
    for what in ("old", "extended"):
        ran = subprocess.run(
            [sys.executable, str(SCRIPT), what, str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr[-4000:]
    assert ran.stdout == "all added columns held\n"
