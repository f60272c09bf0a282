"""Turns what was found of a file into a profile, with the evidence for each line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.landing import RECEIVED_COLUMNS, RETURN, SALE, ReceivedColumn, names_of
from scripts.profiling.kinds import CONTRACT_NUMBER, number_form, share_of, time_form, words_for_nothing
from scripts.profiling.names import columns_of, line_types_of
from scripts.profiling.sniff import Found

_TYPES_OF_RECORDS = 4
_NEARLY_ALL = 0.9
_KIND_FORMS = {
    "integer": r"\d{1,10}",
    "quantity": r"[+-]?[\d.,' ]+",
    "amount": r"[+-]?[\d.,' ]+",
    "currency": r"[A-Z]{3}",
    "line_type": r"[A-Za-z]{1,10}",
}


def propose(found: Found, known: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Adds the keys that follow from names and values to what was found.

    Args:
        found: what was found so far.
        known: columns, constants and positions that a person knows, by contract column.

    Returns:
        What a person has to decide, one line each.
    """
    if found.format == "csv":
        _name_columns(found)
    constants = known.get("constants", {})
    is_fixed = found.format == "fixed_width"
    columns = _places_of(found, known) if is_fixed else _names_of(found, known)
    columns = {column: name for column, name in columns.items() if column not in constants}
    renamed = {column: name for column, name in columns.items() if column != name}
    if is_fixed:
        places = {column: [int(n) for n in name.split("-")] for column, name in columns.items()}
        because = "as given" if known.get("positions") else "by their values; name the others below"
        found.say("positions", places, because)
    elif renamed:
        found.say("columns", renamed, "names of the header that mean the same")
    _fields(found, columns)
    if constants:
        found.say("constants", dict(constants), "as given")
    missing = [c for c in RECEIVED_COLUMNS if c.name not in {*columns, *constants}]
    questions = [*_questions_of_times(found, columns), *_question_of_trailer(found)]
    return questions + [_question(found, column) for column in missing]


def _places_of(found: Found, known: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    given = known.get("positions", {})
    return {name: f"{first}-{last}" for name, (first, last) in given.items()} or _columns_by_value(found)


def _names_of(found: Found, known: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    given: dict[str, str] = {c: name for c, name in known.get("columns", {}).items() if name in found.names}
    others = columns_of([name for name in found.names if name not in given.values()])
    return {**others, **given}


def _question(found: Found, column: ReceivedColumn) -> str:
    where = "positions" if found.format == "fixed_width" else "columns"
    nothing = "" if column.required else f", or {{{column.name}: ''}} there if it has none"
    return f"{column.name}: no column seems to hold it; map it in {where}, or give it in constants{nothing}"


def _question_of_trailer(found: Found) -> list[str]:
    types = found.keys.get("record_type")
    if not isinstance(types, dict) or "trailer" not in types or "trailer_rows" in types:
        return []
    return [
        f"trailer_rows: give the number of the field of the trailer {found.trailer} that counts its lines"
    ]


def _questions_of_times(found: Found, columns: dict[str, str]) -> list[str]:
    if "sold_at" not in columns or found.format == "parquet":
        return []
    values = values_of(found, columns["sold_at"])
    form = time_form(values)
    if form is None:
        seen = next((value for value in values if value.strip()), "")
        return [f"timestamp: the form of {seen!r} is not known; give its pattern"]
    if form.also is not None:
        return [f"timestamp: {form.also} fits each value as well, as {form.seen!r}; ask the sender"]
    return []


def _columns_by_value(found: Found) -> dict[str, str]:
    """Columns of fixed width that their values tell: time, type of the line, currency."""
    columns: dict[str, str] = {}
    for name in found.names:
        values = values_of(found, name)
        kinds = {value for value in values if value}
        if time_form(values) is not None:
            columns.setdefault("sold_at", name)
        elif 1 < len(kinds) <= _TYPES_OF_RECORDS and (
            line_types_of(sorted(kinds)) or kinds == {SALE, RETURN}
        ):
            columns.setdefault("line_type", name)
        elif share_of(values, r"EUR|USD|GBP|CHF|SEK|PLN|CZK|JPY") == 1:
            columns.setdefault("currency", name)
    return columns


def values_of(found: Found, name: str) -> list[str]:
    """Values of a column."""
    at = found.names.index(name)
    return [row[at] for row in found.rows if at < len(row)]


def _name_columns(found: Found) -> None:
    types = _record_types(found)
    if types is not None:
        data = [row for row in found.rows if row[0] == types["data"]]
        _without_header(found, data, ["record_type"])
        found.say(
            "record_type", types, "the first field takes few values, and lines of one have their own width"
        )
        return
    first, others = found.rows[0], found.rows[1:]
    if _is_data(first, others):
        _without_header(found, found.rows, [])
        return
    found.names, found.rows = [name.strip() for name in first], others


def _record_types(found: Found) -> dict[str, object] | None:
    rows = found.rows
    kinds = Counter(row[0].strip() for row in rows)
    data = kinds.most_common(1)[0][0]
    width_of = {kind: {len(row) for row in rows if row[0].strip() == kind} for kind in kinds}
    others_differ = all(width_of[kind].isdisjoint(width_of[data]) for kind in kinds if kind != data)
    if not 1 < len(kinds) <= _TYPES_OF_RECORDS or len(width_of[data]) > 1 or not others_differ:
        return None
    last, others = rows[-1][0].strip(), [kind for kind in kinds if kind != data]
    types: dict[str, object] = {"data": data}
    if last != data and kinds[last] == 1:
        types["trailer"], found.trailer = last, list(rows[-1])
        others.remove(last)
        count = str(kinds[data])
        at = [n for n, value in enumerate(rows[-1], 1) if value.strip().lstrip("0") == count]
        types |= {"trailer_rows": at[0]} if at and found.is_whole else {}
    return types | ({"skip": others} if others else {})


def _is_data(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is like the others: numbers and times where they have them."""
    for at, value in enumerate(first):
        below = [row[at] for row in others if at < len(row)]
        if share_of(below, CONTRACT_NUMBER) > _NEARLY_ALL and share_of([value], CONTRACT_NUMBER):
            return True
        if time_form(below) is not None and time_form([value]) is not None:
            return True
    return False


def _without_header(found: Found, rows: list[list[str]], before: list[str]) -> None:
    """Names columns of a file without a header: the contract's order fits, with or without some columns."""
    width = Counter(len(row) for row in rows).most_common(1)[0][0]
    columns = [[row[at].strip() for row in rows if at < len(row)] for at in range(len(before), width)]
    names = _aligned(columns)
    found.names = [*before, *names]
    found.rows = rows
    found.say(
        "header", found.names, "no header; named by the contract's order where the values fit: check each"
    )


def _aligned(columns: Sequence[Sequence[str]]) -> list[str]:
    """Names for columns in the contract's order; ``column_N`` where none fits."""
    contract = list(RECEIVED_COLUMNS)
    spare = len(contract) - len(columns)
    names = []
    for number, values in enumerate(columns, 1):
        while contract and spare > 0 and not _fits(values, contract[0].kind):
            contract.pop(0)
            spare -= 1
        names.append(
            contract.pop(0).name if contract and _fits(values, contract[0].kind) else f"column_{number}"
        )
    return names


def _fits(values: Sequence[str], kind: str) -> bool:
    if kind == "timestamp":
        return time_form(values) is not None
    if kind == "text":
        return time_form(values) is None
    return not any(values) or share_of(values, _KIND_FORMS[kind]) > _NEARLY_ALL


def _fields(found: Found, columns: dict[str, str]) -> None:
    _numbers(found, columns)
    if "sold_at" in columns:
        _times(found, columns["sold_at"])
    _types(found, columns)
    words = {
        word: column
        for column, name in columns.items()
        if column in names_of("text", "amount", "quantity")
        for word in words_for_nothing(values_of(found, name))
    }
    if words:
        found.say("nulls", ["", *sorted(words)], f"in {', '.join(sorted(set(words.values())))}")


def _numbers(found: Found, columns: dict[str, str]) -> None:
    names = [columns[column] for column in names_of("quantity", "amount") if column in columns]
    forms = [form for name in names if (form := number_form(values_of(found, name))) is not None]
    if forms:
        best = max(forms, key=lambda form: (len(form.thousands), len(form.seen)))
        found.say("decimal", best.decimal, f"for example {best.seen!r}")
        if best.thousands:
            found.say("thousands", best.thousands, f"for example {best.seen!r}")


def _times(found: Found, name: str) -> None:
    form = time_form(values_of(found, name))
    if form is None or found.format == "parquet":
        return
    if form.pattern is not None:
        found.say("timestamp", form.pattern, f"for example {form.seen!r}")
    if form.is_local:
        found.say("local_time", True, f"{form.seen!r} has no offset: the store's time zone decides")


def _types(found: Found, columns: dict[str, str]) -> None:
    if "line_type" not in columns:
        return
    kinds = values_of(found, columns["line_type"])
    mapped = line_types_of(sorted({kind.strip() for kind in kinds}))
    if mapped:
        found.say("values", {"line_type": mapped}, f"{len(set(kinds))} values")
    returns = {own for own, kind in mapped.items() if kind == RETURN} or {RETURN}
    amounts = values_of(found, columns["gross_amount"]) if "gross_amount" in columns else []
    of_returns = [a for kind, a in zip(kinds, amounts, strict=False) if kind.strip() in returns and a.strip()]
    if of_returns and not any(amount.strip().startswith("-") for amount in of_returns):
        found.say("sign", "by_line_type", f"{len(of_returns)} returns, none with a minus")
