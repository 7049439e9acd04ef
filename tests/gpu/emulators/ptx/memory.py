"""Memory with a watch on it: bounds, alignment, and accesses of different threads that nothing puts in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOBODY, SEVERAL = -1, -2


class MemoryFault(Exception):
    """An access that a GPU would refuse, or whose result depends on luck."""


@dataclass(frozen=True)
class Access:
    """Kind of an access.

    Attributes:
        writes: it changes memory.
        strong: atomic, volatile or relaxed: two strong accesses never race.
    """

    writes: bool
    strong: bool


class Watch:
    """Who touched each byte since the last barrier, in this block; and what other blocks left there.

    Args:
        size: bytes watched.
    """

    def __init__(self, size: int) -> None:
        kinds = [(writes, strong) for writes in (False, True) for strong in (False, True)]
        self._by = {kind: np.full(size, NOBODY, np.int32) for kind in kinds}
        self._when = {kind: np.full(size, -1, np.int64) for kind in kinds}
        self._block = np.full(size, NOBODY, np.int32)  # that wrote last
        self._writer = np.full(size, NOBODY, np.int32)  # its thread
        self._fences = np.zeros(size, np.int32)  # that this thread had executed by then
        self._unfenced = np.zeros(size, bool)

    def record(
        self, access: Access, where: NDArray[np.int64], size: int, threads: NDArray[np.int64], moment: Moment
    ) -> None:
        """Notes an access of ``size`` bytes at each of ``where``.

        Raises:
            MemoryFault: it races with an earlier one.
        """
        spread = np.arange(size)
        at, by = (where[:, None] + spread).ravel(), np.repeat(threads, size)
        self._check_threads(access, at, by, moment)
        self._check_blocks(access, at, by, moment)
        kind = (access.writes, access.strong)
        mine, when = self._by[kind], self._when[kind]
        name = np.where((when[at] == moment.interval) & (mine[at] != by), SEVERAL, by)
        mine[at] = name
        mine[at[mine[at] != name]] = SEVERAL  # threads of this very access that meet at one byte
        when[at] = moment.interval
        if access.writes:
            self._block[at], self._writer[at], self._fences[at] = moment.block, by, moment.fences[by]
            self._unfenced[at] = not access.strong

    def end_block(self, moment: Moment) -> None:
        """What is now released is fit for other blocks to read."""
        mine = self._unfenced & (self._block == moment.block)
        self._unfenced[mine] = moment.released[self._writer[mine]] <= self._fences[mine]

    def _check_threads(self, access: Access, at: Any, by: Any, moment: Moment) -> None:
        if access.writes and not access.strong:
            order = np.argsort(at, kind="stable")
            twice = (np.diff(at[order]) == 0) & (np.diff(by[order]) != 0)
            if twice.any():
                raise MemoryFault(
                    f"race: threads {by[order][:-1][twice][0]} and {by[order][1:][twice][0]} write one byte"
                )
        for (writes, strong), others in self._by.items():
            if (access.strong and strong) or not (access.writes or writes):
                continue
            clash = (self._when[writes, strong][at] == moment.interval) & (others[at] != by)
            if clash.any():
                other = others[at][clash][0]
                verbs = ("wrote" if writes else "read"), ("writes" if access.writes else "reads")
                who = "several threads" if other == SEVERAL else f"thread {other}"
                raise MemoryFault(
                    f"race: {who} {verbs[0]} what thread {by[clash][0]} {verbs[1]}, with no barrier between"
                )

    def _check_blocks(self, access: Access, at: Any, by: Any, moment: Moment) -> None:
        if access.strong:
            return
        foreign = (self._block[at] != NOBODY) & (self._block[at] != moment.block)
        if (foreign & self._unfenced[at]).any():
            raise MemoryFault("race between blocks: the writer has not fenced what is read")
        if (foreign & ~moment.acquired[by]).any():
            raise MemoryFault("race between blocks: the reader has not fenced after the atomic that told it to read")


class Moment:
    """Where a launch is, and what fences, barriers and atomics have put in order between blocks.

    A block tells others by an atomic operation that its results are there. They may read what its threads wrote before
    a fence that came before that: in the same thread, or with a barrier in between. A thread that reads what other
    blocks wrote has fenced after an atomic operation of its own, or of its block with a barrier in between.

    Attributes:
        block: number of the running block.
        interval: number of barrier intervals since the launch began.
        fences: that each thread of the block has executed.
        released: those of them that came before the block's last atomic operation.
        acquired: the thread has fenced after an atomic operation of its block.
    """

    def __init__(self, threads: int) -> None:
        self.block = self.interval = 0
        self.fences = np.zeros(threads, np.int32)
        self.released = np.zeros(threads, np.int32)
        self.acquired = np.zeros(threads, bool)
        self._settled = np.zeros(threads, np.int32)  # fences before the last barrier
        self._told = np.zeros(threads, bool)  # of an atomic operation

    def begin_block(self, block: int) -> None:
        """Nothing is fenced yet."""
        self.block = block
        self.interval += 1
        for counter in (self.fences, self.released, self.acquired, self._settled, self._told):
            counter[:] = 0

    def barrier(self) -> None:
        """All threads of the block have met."""
        self.interval += 1
        self._settled[:] = self.fences
        self._told[:] = self._told.any()

    def fence(self, threads: NDArray[np.bool_]) -> None:
        """The threads execute a fence."""
        self.fences += threads
        self.acquired |= threads & self._told

    def signal(self, threads: NDArray[np.bool_]) -> None:
        """The threads execute an atomic operation on global memory."""
        self.released[:] = np.where(threads, self.fences, self._settled)
        self._told |= threads


@dataclass
class Space:
    """One buffer, or all shared variables of a block.

    Attributes:
        data: its bytes.
        base: address of the first.
        usable: which bytes may be touched; None for all.
    """

    data: NDArray[np.uint8]
    base: int = 0
    usable: NDArray[np.bool_] | None = None
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self.data.size)

    def covers(self, first: int, last: int) -> bool:
        """Whether addresses ``first`` to ``last`` lie inside."""
        return self.base <= first and last <= self.base + self.data.size

    def distance(self, address: int) -> int:
        """How far outside an address lies."""
        return max(self.base - address, address - self.base - self.data.size + 1, 0)

    def record(
        self, access: Access, addresses: NDArray[np.int64], size: int, threads: NDArray[np.int64], moment: Moment
    ) -> None:
        """Notes an access of ``size`` bytes at each address.

        Raises:
            MemoryFault: out of bounds, misaligned, or in a race with an earlier one.
        """
        if (addresses % size).any():
            raise MemoryFault(f"misaligned access of {size} bytes")
        offsets = addresses - self.base
        outside = (offsets < 0) | (offsets + size > self.data.size)
        if self.usable is not None and not outside.any():
            outside = ~self.usable[offsets] | ~self.usable[offsets + size - 1]
        if outside.any():
            raise MemoryFault(f"out of bounds: {size} bytes at byte {offsets[outside][0]} of {self.data.size}")
        self.watch.record(access, offsets, size, threads, moment)

    def at(self, addresses: NDArray[np.int64], dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The buffer as items of ``dtype``, and which of them the addresses name."""
        whole = self.data.size // dtype.itemsize * dtype.itemsize
        return self.data[:whole].view(dtype), (addresses - self.base) // dtype.itemsize


class Global:
    """All buffers of a launch, far apart."""

    def __init__(self, buffers: dict[str, NDArray[np.uint8]]) -> None:
        self.spaces: dict[str, Space] = {}
        base = 1 << 32
        for name, data in buffers.items():
            self.spaces[name] = Space(data, base)
            base += -(-data.size // 65536) * 65536 + (1 << 24)

    def find(self, addresses: NDArray[np.int64]) -> Space:
        """The buffer that all the addresses lie in.

        Raises:
            MemoryFault: they do not lie in one buffer.
        """
        first, last = int(addresses.min()), int(addresses.max())
        for space in self.spaces.values():
            if space.covers(first, last + 1):
                return space
        name, near = min(self.spaces.items(), key=lambda item: item[1].distance(first))
        raise MemoryFault(
            f"out of bounds: bytes {first - near.base} to {last - near.base} of {name}, which has {near.data.size}"
        )
