"""Gold tables of a config: what is refused before Spark starts, in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.settings import Settings, load_settings
from schemas.errors import UsageError

DAY = "{sql: day.sql, period: day, keys: [business_date, currency], reconcile: [net_amount]}"
SQL = "select business_date, currency, sum(net_amount) as net_amount from sales group by 1, 2"


def load(folder: Path, gold: str, *assignments: str, **files: str) -> Settings:
    config = folder / "mine.yaml"
    config.write_text(f"gold: {gold}")
    for name, text in {"day": SQL, **files}.items():
        (folder / f"{name}.sql").write_text(text)
    return load_settings(str(config), assignments, {})


def refused(folder: Path, gold: str, *assignments: str, **files: str) -> str:
    with pytest.raises(UsageError) as error:
        load(folder, gold, *assignments, **files)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_declaration_is_read_beside_its_config(tmp_path: Path) -> None:
    days = load(tmp_path, f"{{days: {DAY}}}").gold["days"]
    assert days is not None
    assert (days.sql.text, days.keys) == (SQL, ("business_date", "currency"))
    # Moved elsewhere, it is the same config; with another text, it is not.
    (tmp_path / "other").mkdir()
    moved, changed = (
        load(tmp_path / "other", f"{{days: {DAY}}}", day=text) for text in (SQL, f"{SQL} having true")
    )
    assert moved.digest == load(tmp_path, f"{{days: {DAY}}}").digest != changed.digest
    others = {days.digest("a int", ["of a source"]), days.digest("b int", []), days.digest("a int", [])}
    assert len(others) == 3


@pytest.mark.parametrize(
    ("gold", "problem"),
    [
        (f"{{Days: {DAY}}}", "'Days' must be lower-case letters"),
        (f"{{daily_sales: {DAY}}}", "'daily_sales' is a built-in table"),
        (DAY.replace("day.sql", "none.sql").join(["{days: ", "}"]), "none.sql: No such file or directory"),
        (DAY.replace("period: day", "period: year").join(["{days: ", "}"]), "gold.days.period = 'year'"),
        (DAY.replace("currency]", "currency, currency]").join(["{days: ", "}"]), "'currency' stands twice"),
        (DAY.replace("keys", "key").join(["{days: ", "}"]), "gold.days.keys"),
    ],
)
def test_a_wrong_declaration_is_refused(tmp_path: Path, gold: str, problem: str) -> None:
    assert problem in refused(tmp_path, gold)


def test_wrong_sql_is_refused_with_its_file_and_position(tmp_path: Path) -> None:
    text = refused(tmp_path, f"{{days: {DAY}}}", day=SQL.replace("net_amount)", "net_amout)"))
    assert "days: day.sql: line 1, column 37: no column 'net_amout'; sales has " in text
    text = refused(tmp_path, f"{{days: {DAY}}}", day=SQL.replace("sales", "weekly_product_sales"))
    assert "'weekly_product_sales' is a table of weeks, 'days' of days" in text
    assert "no table 'other': known are daily_sales, days, sales" in refused(
        tmp_path, f"{{days: {DAY}}}", day=SQL.replace("sales", "other")
    )
    both = f"{{days: {DAY}, more: {DAY.replace('day.sql', 'more.sql')}}}"
    circle = refused(tmp_path, both, day="select * from more", more="select * from days")
    assert "days -> more -> days is a circle" in circle


def test_amounts_of_several_currencies_are_never_added(tmp_path: Path) -> None:
    mixed = DAY.replace(", currency]", "]")
    load(tmp_path, f"{{days: {mixed}}}")
    text = refused(tmp_path, f"{{days: {mixed}}}", "currencies=[USD, EUR]")
    assert "gold.days: reconcile needs currency among the keys" in text
