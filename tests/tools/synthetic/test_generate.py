"""A synthetic landing is repeatable, holds every kind of dirt, and is what its truth says."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from pipeline.lake.evaluation import INTERPRETED
from schemas.landing import RECEIVED_NAMES
from tests.tools.synthetic import recount
from tools.synthetic.deliveries import deliveries
from tools.synthetic.generate import generate
from tools.synthetic.plan import REJECT_REASONS, SyntheticPlan
from tools.synthetic.truth import Truth
from tools.synthetic.values import with_values

# Over the end of daylight saving time, with much of every kind of dirt, and drops of nothing but late
# lines: so small a plan would otherwise miss some kinds.
DIRTY = SyntheticPlan(
    seed=7,
    rows=4_000,
    first_date=date(2026, 10, 24),
    last_date=date(2026, 11, 6),
    last_drop_date=date(2026, 11, 20),
    customers=200,
    stores=7,
    files_per_drop=3,
    hot_customer_share=0.1,
    letter_skew=0.2,
    other_share=0.1,
    accented_share=0.1,
    quoted_share=0.1,
    reject_share=0.15,
    duplicate_share=0.1,
    conflict_share=0.08,
    late_share=0.1,
    very_late_share=0.1,
    late_resend_share=0.1,
    return_share=0.2,
    untidy_share=0.2,
)

CLEAN = SyntheticPlan(
    seed=3,
    rows=500,
    first_date=date(2026, 11, 27),
    last_date=date(2026, 11, 28),
    reject_share=0,
    duplicate_share=0,
    conflict_share=0,
    late_share=0,
    very_late_share=0,
    late_resend_share=0,
    formats=("csv",),
    manifests=False,
)


@contextmanager
def settings(spark: SparkSession, values: dict[str, str]) -> Iterator[None]:
    before = {name: spark.conf.get(name) for name in values}
    for name, value in values.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, previous in before.items():
            spark.conf.set(name, previous or "")


@pytest.fixture(scope="module", autouse=True)
def without_compiling(spark: SparkSession) -> Iterator[None]:
    """So few lines are read by the interpreter before their code would be compiled."""
    with settings(spark, INTERPRETED):
        yield


@pytest.fixture(scope="module")
def dirty(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    landing = tmp_path_factory.mktemp("dirty") / "landing"
    return landing, generate(spark, DIRTY, str(landing))


@pytest.fixture(scope="module")
def clean(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    landing = tmp_path_factory.mktemp("clean") / "landing"
    generate(spark, CLEAN, str(landing))
    return landing


def content(landing: Path) -> dict[str, bytes]:
    """The bytes of every file, hidden ones too."""
    return {
        str(path.relative_to(landing)): path.read_bytes() for path in landing.rglob("*") if path.is_file()
    }


def test_truth_is_what_the_files_say_when_counted_by_hand(dirty: tuple[Path, Truth]) -> None:
    landing, _ = dirty
    truth = json.loads((landing.parent / "truth.json").read_text())
    counted = recount.count(landing)
    for drop in truth["drops"].values():
        del drop["files"]
    assert truth["drops"] == counted["drops"]
    assert truth["dates"].keys() == counted["dates"].keys()
    for business_date, expected in truth["dates"].items():
        assert expected == counted["dates"][business_date], business_date


def test_every_kind_of_dirt_is_there(dirty: tuple[Path, Truth]) -> None:
    _, truth = dirty
    totals = truth.totals
    assert set(totals.rejected_by_reason) == set(REJECT_REASONS)
    assert sum(totals.rejected_by_reason.values()) > totals.rejected  # some lines have two reasons
    assert min(totals.adjustments, totals.late_duplicates, totals.late_conflicts) > 0
    assert totals.duplicates > totals.late_duplicates
    assert totals.conflicts > totals.late_conflicts
    assert set(totals.amounts) == {"USD", "JPY", "KWD"}
    assert {name.split(".", 1)[1] for drop in truth.drops.values() for name in drop.files} == set(
        DIRTY.formats
    )
    assert {chunk for one in truth.dates.values() for chunk in one.chunks} == {*DIRTY.ranges, "other"}


def test_deliveries_and_copies_have_the_forms_that_matter(dirty: tuple[Path, Truth]) -> None:
    landing, _ = dirty
    lines = [line for line in recount.read_landing(landing) if not line.reasons]
    lateness = {(line.drop - line.values["sale_date"]).days for line in lines}
    assert {0, 1, 7, 8} <= lateness
    assert {str(line.fields["sold_at"])[11:16] for line in lines} >= {"23:59", "00:01"}
    zones = {str(line.fields["sold_at"])[-6:] for line in lines}
    assert {"-04:00", "-05:00"} <= zones
    assert any(str(line.fields["sold_at"]).endswith("Z") for line in lines)
    copies: dict[Any, list[recount.Line]] = {}
    for line in lines:
        copies.setdefault(line.key, []).append(line)
    several = [group for group in copies.values() if len(group) > 1]
    assert any(len({(line.drop, line.file) for line in group}) == 1 for group in several)
    assert any(
        len({line.file for line in group}) > 1 == len({line.drop for line in group}) for group in several
    )
    assert any(len({line.drop for line in group}) > 1 for group in several)
    assert any(
        len({recount.chunk_of(line.values["product_name"]) for line in group}) > 1 for group in several
    )
    # Equal as typed, but not as written.
    assert any(
        len({line.payload for line in group}) == 1 and len({str(line.fields) for line in group}) > 1
        for group in several
    )


def test_the_same_plan_gives_the_same_bytes_in_any_number_of_partitions_compiled_or_not(
    spark: SparkSession, dirty: tuple[Path, Truth], tmp_path: Path
) -> None:
    landing, truth = dirty
    compiled = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}
    with settings(spark, compiled):
        again = generate(spark, DIRTY, str(tmp_path / "landing"), partitions=7)
    assert again == truth
    assert content(tmp_path / "landing") == content(landing)
    assert (tmp_path / "truth.json").read_bytes() == (landing.parent / "truth.json").read_bytes()


def test_another_seed_gives_other_lines(spark: SparkSession, clean: Path, tmp_path: Path) -> None:
    generate(spark, CLEAN.model_copy(update={"seed": 4}), str(tmp_path / "landing"))
    one, other = content(clean), content(tmp_path / "landing")
    assert one.keys() == other.keys()
    assert all(one[name] != other[name] for name in one)


def test_base_lines_have_keys_of_their_own_and_numbers_repeat_between_stores(clean: Path) -> None:
    lines = recount.read_landing(clean)
    assert len(lines) == CLEAN.rows
    assert not any(line.reasons for line in lines)
    keys = Counter(line.key for line in lines)
    assert max(keys.values()) == 1
    assert len({key[1:3] for key in keys}) < len(keys)


def test_manifests_agree_with_the_files(dirty: tuple[Path, Truth]) -> None:
    landing, truth = dirty
    by_file: dict[tuple[str, str], list[recount.Line]] = {}
    for line in recount.read_landing(landing):
        by_file.setdefault((str(line.drop), line.file), []).append(line)
    listed = 0
    for drop in truth.drops:
        manifest = json.loads((landing / f"drop_date={drop}" / "manifest.json").read_text())
        assert manifest["closed"] is False
        for file in manifest["files"]:
            lines = by_file[(drop, file["name"])]
            sums: dict[str, Decimal] = {}
            for line in lines:
                gross, currency = line.values.get("gross_amount"), line.values.get("currency")
                if gross is not None and currency and "bad_currency" not in line.reasons:
                    sums[currency] = sums.get(currency, Decimal(0)) + gross
            said = {code: Decimal(amount) for code, amount in file["gross_amount"].items()}
            # A currency whose only lines came to nothing may be left out.
            assert {code: amount for code, amount in said.items() if amount} == {
                code: amount for code, amount in sums.items() if amount
            }
            assert file["rows"] == len(lines)
            listed += 1
    assert listed == len(by_file)


def test_csv_is_quoted_as_rfc_4180_has_it_and_starts_with_its_header(dirty: tuple[Path, Truth]) -> None:
    landing, _ = dirty
    quoted = 0
    for path in (*landing.rglob("*.csv"), *landing.rglob("*.csv.gz")):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = raw.decode(errors="replace")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        assert rows[0] == list(RECEIVED_NAMES)
        assert len(rows) == text.count("\n")
        quoted += text.count('""')
    assert quoted > 0


def test_a_landing_that_holds_drops_is_kept_unless_asked(spark: SparkSession, tmp_path: Path) -> None:
    landing, truth = tmp_path / "landing", tmp_path / "beside.json"
    (landing / "drop_date=2020-01-01").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="drop_date=2020-01-01"):
        generate(spark, CLEAN, str(landing))
    assert [path.name for path in landing.iterdir()] == ["drop_date=2020-01-01"]
    limit = spark.conf.get("spark.sql.codegen.hugeMethodLimit")
    generate(spark, CLEAN, str(landing), str(truth), overwrite=True)
    assert [path.name for path in sorted(landing.iterdir())] == [
        "drop_date=2026-11-27",
        "drop_date=2026-11-28",
    ]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["beside.json", "landing"]
    assert spark.conf.get("spark.sql.codegen.hugeMethodLimit") == limit


def test_no_rows_make_no_drops(spark: SparkSession, tmp_path: Path) -> None:
    truth = generate(spark, CLEAN.model_copy(update={"rows": 0}), str(tmp_path / "landing"))
    assert truth.totals.lines == 0
    assert list((tmp_path / "landing").iterdir()) == []


def test_shares_come_out_as_planned(spark: SparkSession) -> None:
    plan = SyntheticPlan(
        rows=20_000, letter_skew=0.4, hot_product_share=0.1, hot_customer_share=0.25, walk_in_share=0.1
    )
    lines = with_values(deliveries(spark, plan), plan).where("copy = 0")
    found = lines.selectExpr(
        "avg(cast(customer = 1 as int)) as hot", "avg(cast(customer = 0 as int)) as walk_in",
        "avg(cast(product between 108 and 113 as int)) as letter", "avg(cast(is_return as int)) as returned",
        "avg(cast(product = 108 as int)) as product",
        "avg(cast(kind >= 0 as int)) as rejected", "avg(cast(currency = 0 as int)) as dollars",
    ).first()  # fmt: skip
    assert found is not None
    expected = {
        "hot": 0.25,
        "walk_in": 0.1,
        "letter": 0.42,
        "product": 0.154,
        "returned": 0.05,
        "rejected": 0.01,
        "dollars": 0.7,
    }
    for name, share in expected.items():
        assert found[name] == pytest.approx(share, abs=0.02), name
