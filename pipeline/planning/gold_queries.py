"""Reads the SQL of a gold table without Spark: what it selects from, and what it must not do.

This is the first look, before Spark starts. Spark's analyzer decides later (pipeline/lake/declared_gold.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.optimizer.scope import traverse_scope

# These give other rows at another time, in another order of rows or to another user.
_UNSTABLE: tuple[type[exp.Expression], ...] = (
    exp.Rand,
    exp.Randn,
    exp.Uuid,
    exp.CurrentTimestamp,
    exp.CurrentDate,
    exp.CurrentTime,
    exp.CurrentUser,
)
_ORDERLESS: tuple[type[exp.Expression], ...] = (exp.Limit, exp.Offset, exp.Fetch, exp.TableSample)
# Spark takes a date or a time from the clock if its text is a word, such as today.
_TIMES = ("DATE", "TIME")
_DIGITS = re.compile(r"\s*[+-]?\d")
_IS_OF_ARGUMENTS = "number of provided arguments"


@dataclass(frozen=True)
class GoldQuery:
    """What the SQL of a gold table says.

    Attributes:
        sources: names that it selects from, sorted.
        is_separable: whether it surely gives the same rows for several periods at once as for each alone.
    """

    sources: tuple[str, ...]
    is_separable: bool


def read_query(text: str, period_column: str) -> GoldQuery:
    """Reads the SQL of a gold table.

    Args:
        text: one SELECT in Spark's SQL.
        period_column: column of the result that holds the first date of the period.

    Raises:
        ValueError: it is not SQL, not one SELECT, or it uses what a gold table must not. The message has the
            position.
    """
    query = _parse(text)
    for node in query.find_all(*_UNSTABLE):
        raise ValueError(
            f"{_at(text, node)}{_name(node)} is not allowed: the same lines must always give the same rows"
        )
    for node in query.find_all(exp.Cast):
        if _is_time_in_words(node):
            raise ValueError(f"{_at(text, node.this)}{node.sql('spark')} is not allowed: write it in digits")
    for node in query.find_all(*_ORDERLESS):
        raise ValueError(
            f"{_name(node)} is not allowed: which rows are left out would be chance; rank the rows with "
            "row_number() over (... order by ...) and filter on the rank"
        )
    return GoldQuery(tuple(sorted(_sources(text, query))), _is_separable(query, period_column))


def _is_time_in_words(cast: exp.Cast) -> bool:
    """Whether a literal of a date or a time is not in digits. A typed literal is a cast, too."""
    is_text = isinstance(cast.this, (exp.Literal, exp.RawString)) and not cast.this.is_number
    is_time = str(cast.to.this.name).startswith(_TIMES)
    return is_text and is_time and _DIGITS.match(cast.this.name) is None


def unknown_columns(text: str, columns: Collection[str]) -> list[str]:
    """Names columns of the SQL that nothing can give, each with its position.

    Args:
        text: SQL that :func:`read_query` accepts.
        columns: columns of all that it selects from.
    """
    query = _parse(text)
    if query.find(exp.Lambda) or query.find(exp.Dot):  # their names are of parameters and fields
        return []
    aliases = {alias.alias.lower() for alias in query.find_all(exp.Alias)}
    for alias in query.find_all(exp.TableAlias):
        aliases |= {column.name.lower() for column in alias.columns}
        aliases.add(alias.name.lower())
    known = {name.lower() for name in columns} | aliases
    unknown = [column for column in query.find_all(exp.Column) if column.name.lower() not in known]
    # Sources are known by name: a whole row may be used as a value.
    unknown = [column for column in unknown if not isinstance(column.this, exp.Star)]
    unknown.sort(key=lambda column: int(column.this.meta.get("start", 0)))
    return [f"{_at(text, column.this)}no column {column.name!r}" for column in unknown]


def in_order(sources: Mapping[str, Iterable[str]]) -> list[str]:
    """Orders tables so that each follows those that it selects from.

    Args:
        sources: names that each table selects from, by its name; other names are passed over.

    Raises:
        ValueError: tables select from each other in a circle; the message names it.
    """
    ordered: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise ValueError(f"{' -> '.join([*path[path.index(name) :], name])} is a circle")
        if name in ordered:
            return
        for source in sources[name]:
            if source in sources:
                visit(source, (*path, name))
        ordered.append(name)

    for name in sources:
        visit(name, ())
    return ordered


def _parse(text: str) -> exp.Query:
    try:
        statements = sqlglot.parse(text, dialect="spark")
    except SqlglotError as error:
        if _IS_OF_ARGUMENTS not in str(error):
            raise ValueError(_describe(error)) from None
        # Spark's own analyzer knows better how many arguments a function takes.
        statements = sqlglot.parse(text, dialect="spark", error_level=ErrorLevel.IGNORE)
    statements = [statement for statement in statements if statement]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ValueError("must be one SELECT, such as select ... from sales group by ...")
    return statements[0]


def _describe(error: SqlglotError) -> str:
    details = getattr(error, "errors", None)
    if not details:
        return " ".join(str(error).split())
    first = details[0]
    near = f" near {first['highlight']!r}" if first.get("highlight") else ""
    description = str(first["description"]).split("<Token")[0].removesuffix(" but got ").rstrip(" .")
    return f"line {first['line']}, column {first['col']}: {description}{near}"


def _sources(text: str, query: exp.Query) -> set[str]:
    sources = set()
    for scope in traverse_scope(query):
        for source in scope.sources.values():
            if isinstance(source, exp.Table):
                sources.add(_plain_name(text, source))
    return sources


def _plain_name(text: str, table: exp.Table) -> str:
    if not isinstance(table.this, exp.Identifier) or table.db or table.args.get("version"):
        raise ValueError(f"{_at(text, table.this)}{table.sql('spark')} is not allowed: select from sales")
    return table.name.lower()


def _is_separable(query: exp.Query, period_column: str) -> bool:
    """Whether the query only filters the lines and groups them by their period, among others."""
    if not isinstance(query, exp.Select) or not _is_flat(query):
        return False
    group = query.args.get("group")
    selected = next((item for item in query.selects if item.alias_or_name == period_column), None)
    if group is None or selected is None or set(group.args) - {"expressions"} - _empty(group):
        return False
    period = selected.unalias()
    if period.find(exp.AggFunc):  # of a group of lines, which may belong to several periods
        return False
    position = str(query.selects.index(selected) + 1)
    # The name of a column of the lines wins over a name that the query gives.
    return any(
        expression == period
        or (isinstance(expression, exp.Literal) and expression.name == position)
        or (isinstance(expression, exp.Column) and expression.name == period_column != "business_date")
        for expression in group.expressions
    ) and any(column.name.lower() == "business_date" for column in period.find_all(exp.Column))


def _is_flat(query: exp.Select) -> bool:
    has_more = query.find(exp.Join, exp.Window, exp.Subquery, exp.With, exp.Lateral, exp.Exists)
    selects = list(query.find_all(exp.Query))
    return has_more is None and len(selects) == 1


def _empty(node: exp.Expression) -> set[str]:
    return {name for name, value in node.args.items() if not value}


def _at(text: str, node: exp.Expression) -> str:
    if "start" not in node.meta:
        return ""
    before = text[: node.meta["start"]]
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}: "


def _name(node: exp.Expression) -> str:
    return type(node).key.upper() if isinstance(node, (*_ORDERLESS,)) else node.sql("spark").lower()
