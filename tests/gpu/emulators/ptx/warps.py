"""Instructions in which the lanes of a warp see each other's registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptx import accesses
from ptx.arithmetic import TYPES
from ptx.program import Instruction

if TYPE_CHECKING:
    from ptx.machine import Machine

Mask = NDArray[np.bool_]
Step = Callable[[Mask], None]


def shuffle(machine: Machine, instruction: Instruction) -> Step:
    """``shfl.sync.<up|down|bfly|idx>.b32 d[|p], a, b, c, mask``; the machine has seen to it that all lanes are here."""
    mode, operands = instruction.parts[2], instruction.operands
    target, _, found = operands[0].partition("|")
    value, move, limit = (machine.operand(text, TYPES["u32"]) for text in operands[1:4])
    _full(instruction, operands[4])
    lanes, first = np.arange(machine.threads) % 32, np.arange(machine.threads) // 32 * 32

    def step(mask: Mask) -> None:
        by, clamp = np.broadcast_to(move, lanes.shape).astype(int), np.broadcast_to(limit, lanes.shape).astype(int)
        segment = clamp >> 8 & 31
        highest, lowest = (lanes & segment) | (clamp & 31 & ~segment), lanes & segment
        wanted = {"up": lanes - by, "down": lanes + by, "bfly": lanes ^ by, "idx": lowest | (by & ~segment)}[mode]
        valid = wanted >= highest if mode == "up" else wanted <= highest
        shown = np.broadcast_to(value, lanes.shape)
        accesses.write(machine.register(target), shown[first + np.where(valid, wanted, lanes)], mask)
        if found:
            accesses.write(machine.register(found), valid, mask)

    return step


def vote(machine: Machine, instruction: Instruction) -> Step:
    """``vote.sync.ballot.b32 d, [!]p, mask``."""
    if "ballot" not in instruction.parts:
        raise NotImplementedError(instruction.text)
    _full(instruction, instruction.operands[2])
    target = machine.register(instruction.operands[0])
    predicate = machine.operand(instruction.operands[1].lstrip("!"), TYPES["pred"])
    negated = instruction.operands[1].startswith("!")
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)

    def step(mask: Mask) -> None:
        votes = ((predicate ^ negated) & mask).reshape(-1, 32) * bits
        accesses.write(target, np.repeat(votes.sum(axis=1, dtype=np.uint32), 32), mask)

    return step


def _full(instruction: Instruction, mask: str) -> None:
    """Only whole warps are followed; a constant in a register is one that the compiler could not see through."""
    if not mask.startswith("%") and int(mask, 0) & 0xFFFFFFFF != 0xFFFFFFFF:
        raise NotImplementedError(instruction.text)
