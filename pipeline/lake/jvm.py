"""Collections of the JVM, as Python walks through them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def items(iterator: Any) -> Iterator[Any]:
    """Yields what an iterator of Java, Scala or Hadoop has left."""
    while iterator.hasNext():
        yield iterator.next()


def members(collection: Any) -> Iterator[Any]:
    """Yields the members of a collection of Scala, in order."""
    yield from items(collection.iterator())
