"""Checks the conditions of a team's own rules with Spark's parser and analyzer, before a line is read.

A condition that passes is true, false or null of a line, the same in every run: it reads columns and literals
through deterministic built-in functions. A cast of text, or a division by a column, could fail for one line
and end the run, so it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, StructField, StructType

from pipeline.lake.frames import local_frame
from pipeline.lake.jvm import members
from schemas.errors import UsageError
from schemas.landing import received_columns
from schemas.own_rules import DATES_OF_LINE, OwnRule
from schemas.tables import DATE, line_field

ALLOWED = (
    "a rule is a Spark SQL condition on one line: received columns, sale_date, drop_date, literals and "
    "deterministic built-in functions"
)
_CATALYST = "org.apache.spark.sql.catalyst"
# Groups of Spark's functions that need several lines, return several, or read what is around the query.
_REFUSED_GROUPS = {
    "agg_funcs": "aggregates several lines",
    "window_funcs": "needs several lines",
    "generator_funcs": "returns several lines",
    "lambda_funcs": "has no generated code and would slow every line down",
    "misc_funcs": "does not depend on the line alone, or can stop the run",
}
_REFUSED_NODES = {
    "Exists": "a subquery",
    "ScalarSubquery": "a subquery",
    "ListQuery": "a subquery",
    "InSubquery": "a subquery",
    "UnresolvedStar": "*",
}
# What a condition is made of; the last is a value that Spark names to use it twice, as in between.
_LEAVES = ("AttributeReference", "Literal", "CommonExpressionRef")
_DIVISIONS = {"Divide": "/", "IntegralDivide": "div", "Remainder": "%", "Pmod": "pmod"}
# Words that Spark replaces by the clock where it reads a date or a time from text.
_CLOCK_WORDS = frozenset({"now", "today", "tomorrow", "yesterday"})
# What Spark reads as it stands: a date or a time in digits. It may take any other text from the clock.
_DIGITS = re.compile(r"\w+\s*'\s*[+-]?\d[^'\\]*'")
_TIMES = ("date", "time")
_READERS_OF_TIMES = ("Cast", "ParseToDate", "ParseToTimestamp")
# The part of a condition that Spark shows where it fails for a line.
_FAILED_SQL = re.compile(r"== SQL \(line \d+, position \d+\) ==\n(.*)")
_PARSER_POSITION = re.compile(r"\(line (\d+), pos (\d+)\)")


def check_rules(spark: SparkSession, rules: Iterable[OwnRule]) -> None:
    """Checks every rule against the columns of the contract in force.

    Raises:
        UsageError: a condition cannot be parsed, is no boolean, or holds what is not allowed. The message
            names the rule, the position and the valid form.
    """
    rules = list(rules)
    if not rules:
        return
    frame = local_frame(spark, line_schema())
    for rule in rules:
        _Condition(spark, rule).check(frame)


def failed_rule(message: str, rules: Iterable[OwnRule]) -> UsageError | None:
    """Returns an error for a rule that could not be computed for a line; None if no rule failed.

    Args:
        message: message of an error of Spark.
        rules: the team's own rules.
    """
    fragment = _FAILED_SQL.search(message)
    if fragment is None:
        return None
    rule = next((rule for rule in rules if fragment[1].strip() in rule.condition), None)
    if rule is None:
        return None
    cause = _first_line_of(message[message.rfind("[", 0, fragment.start()) :])
    return UsageError(
        f"rules.{rule.name} cannot be computed for a line: {fragment[1].strip()}: {cause}; use a function "
        "that gives null instead, such as try_cast, try_element_at or try_to_date"
    )


def line_schema() -> StructType:
    """Columns that a rule may read, typed."""
    dates = [StructField(name, DATE) for name in DATES_OF_LINE]
    return StructType([*(line_field(column) for column in received_columns()), *dates])


class _Condition:
    """One condition, on its way through parser and analyzer."""

    def __init__(self, spark: SparkSession, rule: OwnRule) -> None:
        self._spark = spark
        jvm: Any = spark._jvm
        self._registry = jvm.org.apache.spark.sql.catalyst.analysis.FunctionRegistry
        self._rule = rule
        self._fallback = jvm.java.lang.Class.forName(f"{_CATALYST}.expressions.codegen.CodegenFallback")

    def check(self, frame: DataFrame) -> None:
        """Refuses the condition if a line could not be judged by it alone."""
        for node in _nodes(self._parsed()):
            self._check_parsed(node)
        expression = self._analyzed(frame)
        for node in _nodes(expression):
            self._check_analyzed(node)

    def _parsed(self) -> Any:
        session: Any = self._spark._jsparkSession
        try:
            return session.sessionState().sqlParser().parseExpression(self._rule.condition)
        except PySparkException as error:
            found = _PARSER_POSITION.search(str(error))
            at = self._offset(int(found[1]), int(found[2])) if found else None
            raise self._error(at, _first_line(error)) from None

    def _offset(self, line: int, column: int) -> int:
        """Characters before a position of Spark's parser, which counts lines from 1."""
        return sum(len(text) for text in self._rule.condition.splitlines(keepends=True)[: line - 1]) + column

    def _check_parsed(self, node: Any) -> None:
        kind = node.getClass().getSimpleName()
        if kind in _REFUSED_NODES:
            raise self._error(_start(node), f"{_REFUSED_NODES[kind]} is not allowed")
        if kind == "UnresolvedFunction":
            self._check_function(node)
        if kind == "Literal" and _is_time(node):
            self._check_literal(node)

    def _check_literal(self, node: Any) -> None:
        """The parser has replaced the words for the clock already: only the text of the rule shows them."""
        first, last = node.origin().startIndex().get(), node.origin().stopIndex().get()
        text = self._rule.condition[first : last + 1]
        if not _DIGITS.fullmatch(text):
            raise self._error(first, f"{text} is read from the clock: write it in digits")

    def _check_function(self, node: Any) -> None:
        name = str(node.nameParts().mkString("."))
        built_in = self._registry.expressions().get(name.lower())
        if not built_in.isDefined():
            raise self._error(_start(node), f"{name} is no built-in function of Spark")
        refused = _REFUSED_GROUPS.get(built_in.get()._1().getGroup())
        if refused is not None:
            raise self._error(_start(node), f"{name} {refused}")

    def _analyzed(self, frame: DataFrame) -> Any:
        try:
            judged = frame.select(F.expr(self._rule.condition).alias("rule"))
        except PySparkException as error:
            contexts = error.getQueryContext()
            at = contexts[0].startIndex() if contexts else None
            raise self._error(at, _first_line(error)) from None
        kind = judged.schema["rule"].dataType
        if not isinstance(kind, BooleanType):
            raise self._error(None, f"is {kind.simpleString()}, must be true or false")
        plan: Any = judged._jdf.queryExecution().analyzed()
        return plan.projectList().head().child()

    def _check_analyzed(self, node: Any) -> None:
        kind, name = node.getClass().getSimpleName(), str(node.prettyName())
        is_leaf = node.children().isEmpty()
        if not node.deterministic() or (is_leaf and kind not in _LEAVES):
            raise self._error(_start(node), f"{name} does not depend on the line alone")
        if self._fallback.isInstance(node):
            raise self._error(_start(node), f"{name} has no generated code and would slow every line down")
        if kind in _READERS_OF_TIMES and _is_time(node) and _reads_clock(node.children().head()):
            raise self._error(_start(node), f"{node.sql()} is read from the clock")
        if hasattr(node, "evalMode") and _mode(node) == "ANSI":
            self._check_cannot_fail(node, kind)

    def _check_cannot_fail(self, node: Any, kind: str) -> None:
        """A run must not end because of the value of one line."""
        if kind in _DIVISIONS and not node.right().foldable():
            sign = _DIVISIONS[kind]
            raise self._error(
                _start(node), f"{sign} fails where the divisor is 0: use try_divide(a, b) or try_mod(a, b)"
            )
        if kind != "Cast" or str(node.child().dataType().typeName()) != "string":
            return
        target = str(node.dataType().sql()).lower()
        if not node.child().foldable():
            column = str(node.child().sql())
            raise self._error(
                _start(node),
                f"{column} is text and may be no {target}: compare it with a text in quotes, or use "
                f"try_cast({column} as {target})",
            )
        try:
            getattr(node, "eval")(None)  # noqa: B009 - the method of the JVM is named so
        except Exception:
            raise self._error(_start(node), f"{node.child().sql()} is no {target}") from None

    def _error(self, at: int | None, problem: str) -> UsageError:
        kind = "warn_when" if self._rule.warns else "reject_when"
        where = "" if at is None else f", position {at + 1}"
        return UsageError(
            f"rules.{self._rule.name}.{kind} = {self._rule.condition!r}{where}: {problem}; {ALLOWED}"
        )


def _nodes(expression: Any) -> Iterator[Any]:
    """An expression and all below it, the innermost first: an error names what causes it."""
    for child in members(expression.children()):
        yield from _nodes(child)
    yield expression


def _start(node: Any) -> int | None:
    """Characters before a node, as the parser recorded it; None for a node that the analyzer added."""
    start = node.origin().startIndex()
    return int(start.get()) if start.isDefined() else None


def _mode(node: Any) -> str:
    try:
        return str(node.evalMode().toString())
    except Exception:  # most expressions have no such mode
        return ""


def _is_time(node: Any) -> bool:
    return str(node.dataType().typeName()).startswith(_TIMES)


def _reads_clock(text: Any) -> bool:
    """Whether Spark may take a text from the clock where it casts it to a date or a time.

    It does so for some words, which a zone may follow. It looks for them only in a text without columns.
    """
    if not text.foldable() or str(text.dataType().typeName()) != "string":
        return False
    if text.getClass().getSimpleName() != "Literal":
        return True
    word = re.match(r"\s*([A-Za-z]+)", str(text.value()))
    return word is not None and word[1].lower() in _CLOCK_WORDS


def _first_line(error: PySparkException) -> str:
    return _first_line_of(str(error))


def _first_line_of(message: str) -> str:
    """The message of an error of Spark, without its class, its state and the lines that show the query."""
    text = re.sub(r"^\[[^\]]*\] ", "", message.strip().splitlines()[0])
    return re.sub(r"\.? SQLSTATE: \w+.*$", "", text)
