"""The shop of a team that declares a column, a rule and a table of weeks in its config."""

from __future__ import annotations

import csv
import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from deltalake import DeltaTable
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from schemas.tables import CONFLICTS, RECEIVED_SALES, SALES
from tests.jobs.shop import Ran, Shop
from tests.model import observed
from tests.model.books import Contents, monday_of
from tests.model.machine import SalesMachine, whole
from tests.model.reference import Sale, totals
from tests.support.landing import drop_folder

Date = dt.date
Taxes = dict[tuple[Date, str], Decimal]
CONFIG = {
    "contract": {"columns": {"tax_amount": {"kind": "amount"}}},
    "gold": {
        "weekly_taxes": {
            "sql": "weekly_taxes.sql",
            "period": "week",
            "keys": ["week_start", "currency"],
            "reconcile": ["tax_amount"],
        }
    },
}
SQL = """
select cast(date_trunc('week', business_date) as date) as week_start, currency,
    exact_sum(tax_amount) as tax_amount
from sales group by 1, currency
"""


def tax_of(gross_amount: Any) -> Decimal:
    """The tax of a line: a tenth."""
    return Decimal(gross_amount).scaleb(-1).quantize(Decimal("0.01"))


def taxes_of(contents: Contents) -> Taxes:
    """What the table of weeks must hold: each line's tax, by week and currency."""
    found: Taxes = {}
    for date, content in contents.items():
        for (gross, currency), sums in totals(content, "gross_amount", "currency").items():
            key = monday_of(date), currency
            found[key] = found.get(key, Decimal()) + sums.lines * tax_of(gross)
    return found


def taxes(shop: Shop) -> Taxes:
    """What the table of weeks holds."""
    path = shop.lake / "gold" / "weekly_taxes"
    if not (path / "_delta_log").exists():
        return {}
    rows = DeltaTable(str(path)).to_pyarrow_table().to_pylist()
    found = {(row["week_start"], row["currency"]): row["tax_amount"] for row in rows}
    assert len(found) == len(rows), f"a week and a currency twice: {rows}"
    return found


class OwnMachine(SalesMachine):
    """The same events; each line has a tax, which goes with it wherever it goes."""

    def open_shop(self, folder: Path) -> Shop:
        (folder / "mine.yaml").write_text(yaml.safe_dump(CONFIG))
        (folder / "weekly_taxes.sql").write_text(SQL)
        return Shop(self.spark, folder, ["--config", str(folder / "mine.yaml")])

    def land(self, drop: Date, files: dict[str, tuple[Sale, ...]], kind: str) -> None:
        super().land(drop, files, kind)
        for path in drop_folder(self.shop.landing, drop).glob("*.csv"):
            header, *rows = csv.reader(path.read_text().splitlines()) if path.stat().st_size else [[]]
            if header:
                gross = header.index("gross_amount")
                taxed = [[*header, "tax_amount"], *([*row, str(tax_of(row[gross]))] for row in rows)]
                with path.open("w", newline="") as file:
                    csv.writer(file, lineterminator="\n").writerows(taxed)

    @precondition(lambda self: self.is_sound())
    @rule(flag=st.sampled_from(["", "--reingest", "--from-now-on"]))
    @whole
    def change_rules(self, flag: str) -> None:
        now = self.reference.settings
        then = replace(now, zebra_free=() if now.zebra_free else ("2",))
        if not flag:
            self.refuse_settings(then)
        elif flag != "--reingest" or self.can_reingest(then):
            self.apply_settings(then, flag)

    def check_bronze(self) -> None:
        super().check_bronze()
        for table in (RECEIVED_SALES, SALES, CONFLICTS):
            for row in observed.rows(self.shop, table):
                if row.get("validation_status") != "rejected":
                    assert row["tax_amount"] == tax_of(row["gross_amount"]), (table.name, row)

    def check_weekly(self, ran: Ran, name: str, after: Contents) -> None:
        super().check_weekly(ran, name, after)
        found, wanted, was = taxes(self.shop), taxes_of(after), getattr(self.state, "taxes", {})
        held = {monday_of(date) for date in self.held_dates([])} if ran.code else set()
        builds = name in ("run_batch", "replay_quarantine", "build_daily_sales")
        for key in found.keys() | wanted.keys() | was.keys():
            is_kept = found.get(key) == was.get(key) or self.state.crashed
            if (builds and key[0] not in held) or not is_kept:
                assert found.get(key) == wanted.get(key), (
                    f"{name}: taxes of {key} are {found.get(key)}, must be {wanted.get(key)}"
                )
        self.state.taxes = found

    def check_fresh(self) -> None:
        super().check_fresh()
        assert taxes(self.shop.other("fresh")) == taxes(self.shop)
