"""Pseudo-random numbers: a pure function of the seed, a purpose and a line.

There is no state and no ``rand()``: every attempt of a task draws the same line, in any partition.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F


@dataclass(frozen=True)
class Draws:
    """Draws of one seed.

    Attributes:
        seed: the plan's seed.
    """

    seed: int

    def _bits(self, purpose: str, of: tuple[Column, ...]) -> Column:
        digest = hashlib.blake2b(f"{self.seed}:{purpose}".encode(), digest_size=8).digest()
        return F.xxhash64(F.lit(int.from_bytes(digest, "big", signed=True)), *of)

    def below(self, purpose: str, limit: int | Column, *of: Column) -> Column:
        """A whole number from 0 to ``limit`` - 1."""
        bound = limit if isinstance(limit, Column) else F.lit(limit).cast("long")
        return F.pmod(self._bits(purpose, of), bound)

    def unit(self, purpose: str, *of: Column) -> Column:
        """A number from 0 to less than 1."""
        return F.shiftrightunsigned(self._bits(purpose, of), 11) * F.lit(2.0**-53)

    def chance(self, purpose: str, share: float, *of: Column) -> Column:
        """True for about ``share`` of all lines."""
        return self.unit(purpose, *of) < F.lit(share)

    def choice(self, purpose: str, values: Sequence[str], *of: Column) -> Column:
        """One of ``values``."""
        return at(values, self.below(purpose, len(values), *of))

    def weighted(self, purpose: str, weights: Sequence[float], *of: Column) -> Column:
        """An index into ``weights``, drawn in proportion to the weights."""
        total = sum(weights)
        draw = self.unit(purpose, *of)
        index = F.lit(len(weights) - 1)
        edge = 1.0
        for i in range(len(weights) - 2, -1, -1):
            edge -= weights[i + 1] / total
            index = F.when(draw < F.lit(edge), F.lit(i)).otherwise(index)
        return index


def at(values: Sequence[str] | Sequence[int], index: Column) -> Column:
    """The value at ``index``, counted from 0."""
    return F.element_at(F.array(*(F.lit(value) for value in values)), index.cast("int") + F.lit(1))
