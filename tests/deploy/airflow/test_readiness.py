"""The sensor's rule for a drop agrees with the ingest's, case by case."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from pipeline.profiles import COMPRESSIONS, CONTRACT_ENDINGS, contract_profile
from tests.jobs.shop import Shop, line

DATE = "2026-03-02"
CASES: dict[str, tuple[list[str], str | None]] = {
    "a file": (["sales.csv"], None),
    "a zipped file": (["sales.csv.gz"], None),
    "JSON lines": (["sales.json"], None),
    "an unrecognized file alone": (["readme.txt"], None),
    "an unrecognized file beside another": (["readme.txt", "sales.csv"], None),
    "a file in capital letters": (["SALES.CSV"], None),
    "a file under way": (["_sales.csv", ".sales.csv"], None),
    "a marker alone": (["_SUCCESS"], None),
    "nothing": ([], None),
    "closed": ([], '{"closed": true}'),
    "not closed": ([], '{"closed": false}'),
    "an empty manifest": ([], "{}"),
    "the file of the manifest": (["sales.csv"], '{"files": [{"name": "sales.csv"}]}'),
    "another file than the manifest's": (["other.csv"], '{"files": [{"name": "sales.csv"}]}'),
    "a file that is not in the list": (["more.csv", "sales.csv"], '{"files": [{"name": "sales.csv"}]}'),
    "a file, and an empty list": (["sales.csv"], '{"files": []}'),
    "a file, and no list": (["sales.csv"], '{"closed": false}'),
    "closed, and a file": (["sales.csv"], '{"closed": true}'),
    "closed, and a file of the list": (["sales.csv"], '{"closed": true, "files": [{"name": "sales.csv"}]}'),
    "closed, with a file to come": ([], '{"closed": true, "files": [{"name": "sales.csv"}]}'),
    "one of two files": (["sales.csv"], '{"files": [{"name": "sales.csv"}, {"name": "more.csv"}]}'),
    "no JSON": ([], "{"),
    "a list": ([], "[]"),
    "closed in words": ([], '{"closed": "yes"}'),
    "a key that nobody knows": ([], '{"open": true, "files": [{"name": "sales.csv"}]}'),
    "a file without a name": ([], '{"files": [{}]}'),
}


def _readiness() -> ModuleType:
    # By its path: the folder of the DAGs is on no path of the project.
    path = Path(__file__).resolve().parents[3] / "deploy" / "airflow" / "cymbal_airflow" / "readiness.py"
    spec = importlib.util.spec_from_file_location("readiness", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_sensor_knows_the_formats_that_the_ingest_reads() -> None:
    sensor = _readiness()
    for ending in (*CONTRACT_ENDINGS, ".txt", ".CSV"):
        for compression in ("", *COMPRESSIONS, ".GZ", ".7z"):
            name = f"sales{ending}{compression}"
            assert (sensor.why_not_ready([name], None) is None) == (contract_profile(name) is not None), name


def test_the_sensor_takes_the_patterns_of_the_config() -> None:
    why_not_ready = _readiness().why_not_ready
    assert why_not_ready(["Filiale_7.TXT"], None) is not None
    assert why_not_ready(["Filiale_7.TXT"], None, profiles=["filiale_*.txt"]) is None
    assert why_not_ready(["sales.csv", "README.md"], None, ignored=["readme*"]) is None
    assert why_not_ready(["manifest.json"], '{"files": [{"name": "manifest.json"}]}', ignored=["*"]) != (
        "file manifest.json of the manifest is not there"
    )


@pytest.mark.parametrize("case", CASES)
def test_the_sensor_waits_where_the_ingest_says_not_ready(shop: Shop, case: str) -> None:
    names, manifest = CASES[case]
    folder = shop.land(DATE, line(), name="sales.csv").parent
    (folder / "sales.csv").unlink()
    for name in names:
        shop.land_json(DATE, line(), name=name) if "json" in name else shop.land(DATE, line(), name=name)
    if manifest is not None:
        (folder / "manifest.json").write_text(manifest)
    reason = _readiness().why_not_ready({path.name for path in folder.iterdir()}, manifest)
    ran = shop.run("--date", DATE, "--dry-run")
    assert (reason is not None) == (ran.code == 5), (reason, ran.stderr)
    if reason is not None:
        assert reason in ran.stderr
