"""Contenders run in turn, each as often as asked; what cannot run, fails or runs out is said in one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.benchmarks.contenders import CONTENDERS, Contender
from tools.benchmarks.inputs import Input
from tools.benchmarks.rounds import Rounds, Settings

NOTHING: dict[str, Any] = {"totals": {"rejected_by_reason": {}}, "drops": {}, "dates": {}}
CODE = {
    "fails": "print('what went wrong'); print(); raise SystemExit(3)",
    "hungry": "import time; held = b'x' * (300 << 20); time.sleep(60)",
    "lazy": "pass",
}


def runs(name: str, code: str, needs: tuple[str, ...] = ()) -> Contender:
    return Contender(name, lambda _: [sys.executable, "-S", "-c", code], needs, "nothing")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, code in CODE.items():
        monkeypatch.setitem(CONTENDERS, name, runs(name, code))
    monkeypatch.setitem(CONTENDERS, "absent", runs("absent", "pass", needs=("no_such_package",)))
    for folder in ("input", "lakes", "logs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "input" / "truth.json").write_text(json.dumps(NOTHING), encoding="utf-8")
    return Settings([10], 2, ["fails", "hungry", "lazy", "absent"], 1, 0.2, 1, tmp_path)


def test_every_outcome(settings: Settings) -> None:
    told: set[str] = set()
    rounds = Rounds(settings, Input(10, settings.out / "input"), lambda name, *_: told.add(name))
    found = list(rounds.run())
    assert [(run.round, run.contender) for run in found] == [
        (number, name) for number in (1, 2) for name in settings.contenders
    ]
    assert [run.outcome for run in found[:2]] == [
        "failed with 3: what went wrong",
        "out of memory at 0.2 GB",
    ]
    assert found[2].outcome.startswith("differs: its tables cannot be read: ")
    assert found[3].outcome == "not run: no_such_package is not installed"
    assert [run.outcome for run in found[4:]] == [run.outcome for run in found[:4]]
    assert [run.measurement is None for run in found] == [False, False, False, True, False, True, False, True]
    assert {"hungry", "proof"} <= told
