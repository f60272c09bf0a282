from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _few_lines(interpreted: None) -> None:
    """Sequences of runs over a few lines each."""
