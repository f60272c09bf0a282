"""Where a chunk's lines go in a publish: a span of Spark partitions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PartitionSpan:
    """The Spark partitions of one chunk: ``first`` to ``first + count - 1``."""

    first: int
    count: int

    def __contains__(self, partition: object) -> bool:
        """Whether a partition id is one of the chunk's."""
        return isinstance(partition, int) and self.first <= partition < self.first + self.count
