"""Classes and collections of the JVM, as Python reaches them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from py4j.java_gateway import JavaClass

# Names by which PySpark asks Java for a class at each call of a function of columns.
_ASKED_OFTEN = ("functions", "org.apache.spark.sql.functions", "PythonUtils")


def keep_names(jvm: Any) -> None:
    """Keeps the classes that PySpark asks for most. Java searches many packages for each such name."""
    for name in _ASKED_OFTEN:
        setattr(jvm, name, getattr(jvm, name))


def java_class(jvm: Any, name: str) -> Any:
    """Returns a class by its full name. Java is not asked, as it is for each part of ``jvm.org.apache``."""
    return JavaClass(name, jvm._gateway_client)


def items(iterator: Any) -> Iterator[Any]:
    """Yields what an iterator of Java, Scala or Hadoop has left."""
    while iterator.hasNext():
        yield iterator.next()


def members(collection: Any) -> Iterator[Any]:
    """Yields the members of a collection of Scala, in order."""
    yield from items(collection.iterator())
