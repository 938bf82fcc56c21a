"""A cohort cut into leaves, and leaves bundled into the chunks that workers get.

Leaves are what results depend on: models are summed up leaf by leaf, and a leaf is evaluated or
vectorised as one. They are cut by position and cohort alone. Chunks are whole subtrees of the
binary tree over the leaves (:class:`fedzda.platform.averaging.ChunkSums`), so that how many there
are may follow the number of workers without a bit of the result changing: large ones first, because
a sum travels once per chunk, small ones last, so that workers end a round together.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from fedzda.platform.engines.calls import Call, Chunk


@dataclass(frozen=True)
class Leaves:
    """How a cohort is cut: into a power of two.

    Attributes:
        fewest: Leaves of a small cohort, for the sake of balance (not more than it has clients).
        largest: Most clients in a leaf, for the sake of balance and memory.
    """

    fewest: int
    largest: int

    def count(self, cohort: int) -> int:
        """Number of leaves."""
        wanted = max(min(cohort, self.fewest), -(-cohort // self.largest))
        return _power(wanted)


ONE_BY_ONE = Leaves(fewest=16, largest=4)
"""For clients that train one after the other."""
EVALUATED = Leaves(fewest=16, largest=64)
"""For clients whose samples share batches."""
VECTORISED = Leaves(fewest=2, largest=64)
"""For clients that train at once."""


def cut(calls: list[Call], leaves: int, workers: int, smallest: int = 1) -> list[Chunk]:
    """Chunks of ``calls`` in order: each about two thirds of a worker's share of what is left.

    ``smallest`` is how many clients a chunk should have to be worth its journey; there are as many
    chunks as workers all the same, as far as leaves allow it.
    """
    borders = [position * len(calls) // leaves for position in range(leaves + 1)]
    worthwhile = _power(-(-smallest * leaves // len(calls)))
    floor = max(1, min(worthwhile, leaves // _power(workers)))
    chunks, first = [], 0
    while first < leaves:
        share = max(1, (leaves - first) * 2 // (workers * 3))
        size = max(floor, 1 << share.bit_length() - 1)
        while first % size:
            size //= 2
        ends = borders[first : first + size + 1]
        sizes = [end - start for start, end in pairwise(ends)]
        if sum(sizes):
            chunks.append(Chunk(first, calls[ends[0] : ends[-1]], sizes))
        first += size
    return chunks


def _power(number: int) -> int:
    """The smallest power of two that is not below a positive number."""
    return 1 << (number - 1).bit_length()
