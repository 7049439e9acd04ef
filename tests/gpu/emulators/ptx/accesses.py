"""Instructions that touch memory, and registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ptx.arithmetic import TYPES, Values
from ptx.memory import Access, MemoryFault, Space
from ptx.program import Instruction

if TYPE_CHECKING:
    from ptx.machine import Machine

Mask = NDArray[np.bool_]
Step = Callable[[Mask], None]
Addresses = NDArray[np.int64]

_STRONG = {"volatile", "relaxed"}


def write(target: Values, value: Values, mask: Mask) -> None:
    """Into a register: as unsigned bits, narrow values extended by their sign."""
    if target.dtype == bool:
        np.copyto(target, value.astype(bool), where=mask)
        return
    if value.dtype.kind == "i" and value.dtype.itemsize < target.dtype.itemsize:
        value = value.astype(f"i{target.dtype.itemsize}")
    bits = np.ascontiguousarray(value).view(f"u{value.dtype.itemsize}")
    np.copyto(target, bits.astype(target.dtype, copy=False), where=mask)


def names(vector: str) -> list[str]:
    """The registers of ``{%r1, %r2}``, or of ``%r1``."""
    return [name.strip() for name in vector.strip("{}").split(",")]


def load(machine: Machine, instruction: Instruction) -> Step:
    """``ld`` of one value or a vector, from global or shared memory or the parameter."""
    parts, targets = instruction.parts, names(instruction.operands[0])
    dtype, locate = TYPES[parts[-1]], _addresses(machine, instruction.operands[1])
    size = dtype.itemsize * len(targets)
    access = Access(writes=False, strong=bool(_STRONG & set(parts)))

    def step(mask: Mask) -> None:
        addresses, threads = locate(mask), np.flatnonzero(mask)
        space = _space(machine, parts, addresses)
        if "param" not in parts:
            space.record(access, addresses, size, threads, machine.moment)
            _count(machine, parts, addresses, size, threads)
        for place, name in enumerate(targets):
            items, at = space.at(addresses + place * dtype.itemsize, dtype)
            value = np.zeros(machine.threads, dtype)
            value[mask] = items[at]
            write(machine.register(name), value, mask)

    return step


def store(machine: Machine, instruction: Instruction) -> Step:
    """``st`` of one value or a vector, to global or shared memory."""
    parts = instruction.parts
    dtype, locate = TYPES[parts[-1]], _addresses(machine, instruction.operands[0])
    sources = [machine.operand(name, dtype) for name in names(instruction.operands[1])]
    size = dtype.itemsize * len(sources)
    access = Access(writes=True, strong=bool(_STRONG & set(parts)))

    def step(mask: Mask) -> None:
        addresses, threads = locate(mask), np.flatnonzero(mask)
        space = _space(machine, parts, addresses)
        space.record(access, addresses, size, threads, machine.moment)
        _count(machine, parts, addresses, size, threads)
        for place, source in enumerate(sources):
            items, at = space.at(addresses + place * dtype.itemsize, dtype)
            items[at] = np.broadcast_to(source, machine.threads)[mask]

    return step


_CHANGES: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda before, value: before + value,
    "min": min,
    "max": max,
    "exch": lambda before, value: value,
    "inc": lambda before, value: 0 if before >= value else before + 1,
}


def atomic(machine: Machine, instruction: Instruction) -> Step:
    """``atom`` and ``red``: one thread after the other."""
    parts, operands = instruction.parts, instruction.operands
    returns = parts[0] == "atom"
    dtype = TYPES[parts[-1]]
    change = next(_CHANGES[part] for part in parts[1:] if part in _CHANGES)
    locate = _addresses(machine, operands[1 if returns else 0])
    source = machine.operand(operands[2 if returns else 1], dtype)

    def step(mask: Mask) -> None:
        addresses, threads = locate(mask), np.flatnonzero(mask)
        space = _space(machine, parts, addresses)
        space.record(Access(writes=True, strong=True), addresses, dtype.itemsize, threads, machine.moment)
        items, at = space.at(addresses, dtype)
        values = np.broadcast_to(source, machine.threads)[mask]
        before = np.zeros(machine.threads, dtype)
        with np.errstate(all="ignore"):
            for thread, place, value in zip(threads, at, values, strict=True):
                before[thread] = items[place]
                items[place] = change(items[place], value)
        if returns:
            write(machine.register(operands[0]), before, mask)
        if "global" in parts:
            machine.moment.signal(mask)

    return step


def fence(machine: Machine, instruction: Instruction) -> Step:
    """``membar.gl``: what a thread has written is fit for other blocks; what they have, for this thread."""
    if instruction.parts != ("membar", "gl"):
        raise NotImplementedError(instruction.text)

    def step(mask: Mask) -> None:
        machine.moment.fence(mask)

    return step


def _addresses(machine: Machine, text: str) -> Callable[[Mask], Addresses]:
    """``[%rd1+8]``, ``[symbol]`` or ``[symbol+8]`` as a function of the threads."""
    base, _, offset = text.strip("[]").partition("+")
    base, shift = base.strip(), int(offset) if offset else 0
    if base.startswith("%"):
        register = machine.register(base)
        return lambda mask: register[mask].astype(np.int64) + shift
    start = int(machine.operand(base, np.dtype(np.int64))[0]) + shift
    return lambda mask: np.full(np.count_nonzero(mask), start, np.int64)


def _space(machine: Machine, parts: tuple[str, ...], addresses: Addresses) -> Space:
    if "param" in parts:
        return machine.parameter
    if "shared" in parts:
        return machine.shared
    if "global" in parts:
        return machine.memory.find(addresses)
    raise MemoryFault("generic and local addresses are not followed")


def _count(
    machine: Machine, parts: tuple[str, ...], addresses: Addresses, size: int, threads: NDArray[np.int64]
) -> None:
    """Bytes by kind of access, and the 32-byte sectors that each warp's request touches."""
    if "global" in parts:
        kind = "stored" if parts[0] == "st" else "streamed" if "cs" in parts else "cached"
        sectors = np.unique(np.stack([threads // 32, addresses // 32]), axis=1).shape[1]
        machine.traffic[kind] = machine.traffic.get(kind, 0) + len(addresses) * size
        machine.sectors[kind] = machine.sectors.get(kind, 0) + 32 * sectors
