"""The reference pages name every table, column, job, key, reason and code that the code has, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from pipeline.planning.progress import VERSION, EventKind, Phase, RunProgress, TaskEvent, TaskProgress
from pipeline.profiles import DeliveryProfile, RecordType
from pipeline.settings import Settings
from schemas.lake import TABLES
from schemas.landing import RECEIVED_COLUMNS, RECEIVED_NAMES
from schemas.states import DateProgressState, ExitCode, NoticeKind
from schemas.tables import Table
from transforms.rules import REJECT_REASONS

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
# Keys whose mapping the user fills.
_OPEN = ("columns", "rules", "gold")
_RECEIVED = "[received columns](#received-columns)"


def test_every_table_has_its_columns() -> None:
    assert set(re.findall(r"^### `(\S+)`$", _page("tables"), flags=re.MULTILINE)) == {t.name for t in TABLES}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_columns_and_types_are_those_of_the_contract(table: Table) -> None:
    documented: dict[str, str] = {}
    for name, kind in _rows(_section(_page("tables"), f"### `{table.name}`")):
        documented |= _received() if name == _RECEIVED else {name: kind}
    wanted = {column.name: column.dataType.simpleString() for column in table.schema.fields}
    assert documented == wanted


def test_received_columns_are_in_the_landing_and_in_the_tables() -> None:
    assert [name for name, _ in _rows(_section(_page("landing"), "## Columns"))] == list(RECEIVED_NAMES)
    required = dict(_rows(_section(_page("landing"), "## Columns")))
    assert required == {c.name: "yes" if c.required else "no" for c in RECEIVED_COLUMNS}
    assert list(_received()) == list(RECEIVED_NAMES)


def test_every_reject_reason_is_explained_once() -> None:
    cells = [line.split(" | ")[0] for line in _section(_page("landing"), "## Reject reasons").splitlines()]
    assert sorted(re.findall(r"`(\w+)`", "\n".join(c for c in cells if c.startswith("| `")))) == sorted(
        REJECT_REASONS
    )


def test_every_job_is_listed() -> None:
    jobs = {path.stem for path in (ROOT / "jobs").glob("[!_]*.py")}
    assert {name for name, _ in _rows(_section(_page("commands"), "## Jobs"))} == jobs


def test_every_config_key_is_listed_with_its_default() -> None:
    values = yaml.safe_load((ROOT / "configs" / "cymbal.yaml").read_text(encoding="utf-8"))
    groups = {name for name in Settings.model_fields if isinstance(values[name], dict) and name not in _OPEN}
    flat = {f"{group}.{key}": value for group in groups for key, value in values[group].items()}
    flat |= {name: values[name] for name in Settings.model_fields if name not in groups}
    documented = {
        name: yaml.safe_load(text.strip("`")) for name, text in _rows(_page("config").partition("## ")[0])
    }
    assert documented == flat


def test_every_key_of_a_profile_is_listed_with_its_default() -> None:
    page = _page("delivery-profiles")
    documented = dict(_rows(_section(page, "## Keys")))
    assert list(documented) == list(DeliveryProfile.model_fields)
    said = {"files": "required", "thousands": "none", "nulls": "the config's `nulls"}
    for name, field in DeliveryProfile.model_fields.items():
        default = {} if field.default_factory else field.default
        text = (
            "null" if default is None else str(default).lower() if default in (True, False) else str(default)
        )
        assert documented[name] == said.get(name, text), name
    assert [name for name, _ in _rows(_section(page, "## Record types"))] == list(RecordType.model_fields)


@pytest.mark.parametrize(
    ("heading", "model"),
    [(None, RunProgress), ("## A chunk", TaskProgress), ("## An event", TaskEvent)],
)
def test_every_key_of_the_progress_file_is_explained(heading: str | None, model: type[BaseModel]) -> None:
    page = _page("progress")
    section = page.partition("\n## ")[0] if heading is None else _section(page, heading)
    cells = re.findall(r"^\| (`[^|]+) \|", section, flags=re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(cells)) == list(model.model_fields)


def test_the_page_of_the_progress_file_names_its_values() -> None:
    page = _page("progress")
    for value in (*Phase, *EventKind):
        assert f"`{value}`" in page
    assert f"| `version` | {VERSION};" in page


def test_every_event_of_the_messages_is_explained() -> None:
    page = (ROOT / "docs" / "how-to" / "watch-a-run.md").read_text(encoding="utf-8")
    assert [name for name, _ in _rows(_section(page, "## Messages"))] == [kind.value for kind in NoticeKind]


def test_every_exit_code_and_state_is_explained() -> None:
    table = _page("exit-codes").partition("If several apply")[0]
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", table, flags=re.MULTILINE)]
    assert codes == sorted(int(code) for code in ExitCode)
    states = _rows(_section(_page("states"), "## A business date, as `status` shows it"))
    assert [name for name, _ in states] == [state.value for state in _in_order()]


def _in_order() -> list[DateProgressState]:
    state = DateProgressState
    return [state.MISSING, state.LANDED, state.STALE, state.BLOCKED, state.FAILED, state.DONE, state.BILLED]


def _received() -> dict[str, str]:
    return dict(_rows(_section(_page("tables"), "## Received columns")))


def _page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def _section(text: str, heading: str) -> str:
    """Text below a heading, up to the next one."""
    assert f"{heading}\n" in text, heading
    return re.split(r"^#+ ", text.split(f"{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def _rows(text: str) -> list[tuple[str, str]]:
    """First two cells of each row that begins with code or a link."""
    rows = re.findall(r"^\| (`[^`]+`|\[[^|]+) \| ([^|]*) ?\|", text, flags=re.MULTILINE)
    return [(name.strip("`"), kind.strip().strip("`")) for name, kind in rows]
