"""The span of Spark partitions that receives a chunk's lines in a publish."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PartitionSpan:
    """The Spark partitions of one chunk: ``first`` to ``first + count - 1``."""

    first: int
    count: int

    def __contains__(self, partition: object) -> bool:
        """Whether a partition id belongs to the chunk."""
        return isinstance(partition, int) and self.first <= partition < self.first + self.count
