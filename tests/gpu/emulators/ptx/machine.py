"""Runs a launch block by block: threads, branches, barriers, shuffles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.kernels import Launch
from ptx.arithmetic import Values
from ptx.instructions import Step, compile_step
from ptx.memory import Global, MemoryFault, Moment, Space
from ptx.program import Instruction, Program

Mask = NDArray[np.bool_]


class Divergence(Exception):
    """Threads wait for each other that will never meet."""


class Machine:
    """One launch of one kernel.

    Args:
        program: the kernel.
        plan: grid, block and arguments; the addresses in it are set to the buffers.
        buffers: device memory by the name of its address field.
    """

    def __init__(self, program: Program, plan: Launch, buffers: dict[str, NDArray[np.uint8]]) -> None:
        self.program, self.plan = program, plan
        self.threads = plan.block[0] * plan.block[1] * plan.block[2]
        self.memory = Global(buffers)
        args = plan.args.copy()
        for name, space in self.memory.spaces.items():
            args[name] = space.base
        self.parameter = Space(np.frombuffer(args.tobytes(), np.uint8).copy())
        self.shared = self._shared()
        self.registers: dict[str, Values] = {}
        self.traffic: dict[str, int] = {}
        self.sectors: dict[str, int] = {}
        self.steps = 0
        self.moment = Moment(self.threads)
        self._set_constants((0, 0, 0))
        self._code: list[Step | None] = [compile_step(self, instruction) for instruction in program.code]

    def run(self, blocks: Iterable[int] | None = None) -> None:
        """Runs all blocks, or those whose numbers are given, in that order.

        Raises:
            MemoryFault, Divergence: with the instruction and the block.
        """
        grid = self.plan.grid
        for number in range(grid[0] * grid[1] * grid[2]) if blocks is None else blocks:
            self._begin(number)
            self._set_constants((number % grid[0], number // grid[0] % grid[1], number // (grid[0] * grid[1])))
            self._run_block()
            for space in self.memory.spaces.values():
                space.watch.end_block(self.moment)

    def register(self, name: str) -> Values:
        """The array behind a register: unsigned integers of its width, or booleans."""
        if name not in self.registers:
            width = self.program.registers[name.rstrip("0123456789")]
            dtype = np.dtype(f"u{width}") if width else np.dtype(bool)
            self.registers[name] = np.zeros(self.threads, dtype)
        return self.registers[name]

    def operand(self, text: str, dtype: np.dtype[Any]) -> Values:
        """A register seen as ``dtype``, or a constant of shape (1,); the array stays valid for the whole launch."""
        if text.startswith("%"):
            register = self.register(text)
            if dtype.itemsize < register.dtype.itemsize:
                return register.view(dtype)[:: register.dtype.itemsize // dtype.itemsize]
            return register.view(dtype)
        if text.startswith(("0f", "0F", "0d", "0D")):
            return np.array([int(text[2:], 16)], f"u{(len(text) - 2) // 2}").view(dtype)
        if text in self.program.shared:
            return np.array([self.program.shared[text]], dtype)
        if text == self.program.parameter[0]:
            return np.zeros(1, dtype)
        value = int(text.rstrip("U"), 0)
        return np.array([value & (2 ** (8 * dtype.itemsize) - 1)], f"u{dtype.itemsize}").view(dtype)

    def _begin(self, number: int) -> None:
        self.moment.begin_block(number)
        self.shared = self._shared()
        for name, register in self.registers.items():
            if self.program.registers.get(name.rstrip("0123456789")):
                register.view(np.uint8)[:] = 0xCD

    def _set_constants(self, block: tuple[int, int, int]) -> None:
        x, y, _ = self.plan.block
        numbers = np.arange(self.threads)
        values = {"%tid.x": numbers % x, "%tid.y": numbers // x % y, "%tid.z": numbers // (x * y)}
        for axis, name in enumerate("xyz"):
            values[f"%ctaid.{name}"] = np.full(self.threads, block[axis])
            values[f"%ntid.{name}"] = np.full(self.threads, self.plan.block[axis])
            values[f"%nctaid.{name}"] = np.full(self.threads, self.plan.grid[axis])
        for name, value in values.items():
            self.registers.setdefault(name, np.zeros(self.threads, np.uint32))[:] = value

    def _shared(self) -> Space:
        size = max(self.program.shared_bytes, 16)
        usable = np.zeros(size, bool)
        for name, offset in self.program.shared.items():
            usable[offset : offset + self.program.shared_sizes[name]] = True
        return Space(np.full(size, 0xFF, np.uint8), 0, usable)

    def _run_block(self) -> None:
        groups: dict[int, Mask] = {0: np.ones(self.threads, bool)}  # next instruction to threads
        parked: dict[int, Mask] = {}  # at a shuffle that other lanes of their warps have not reached
        waiting = np.zeros(self.threads, bool)
        gone = np.zeros(self.threads, bool)
        barrier = -1
        while groups or waiting.any():
            if not groups:
                self._meet(waiting, gone, parked)
                groups, waiting = {barrier + 1: waiting}, np.zeros(self.threads, bool)
                self.moment.barrier()
                continue
            position = min(groups)
            mask = groups.pop(position)
            instruction = self.program.code[position]
            self.steps += 1
            taken = (
                mask if instruction.guard is None else mask & (self.register(instruction.guard) ^ instruction.negated)
            )
            kind = instruction.parts[0]
            following = position + 1
            if kind == "bra":
                _join(groups, self.program.labels[instruction.operands[0]], taken)
                mask = mask & ~taken
            elif kind in ("ret", "exit"):
                gone |= taken
                mask = mask & ~taken
            elif kind in ("bar", "barrier"):
                if waiting.any() and barrier != position:
                    raise Divergence(f"threads wait at two barriers (block {self.moment.block})")
                waiting, barrier, mask = waiting | taken, position, mask & ~taken
            elif kind in ("shfl", "vote"):
                mask = parked.pop(position, np.zeros(self.threads, bool)) | taken
                whole = np.repeat(mask.reshape(-1, 32).all(axis=1), 32)
                _join(parked, position, mask & ~whole)
                mask = mask & whole
                self._execute(position, mask)
            else:
                self._execute(position, taken)
            _join(groups, following, mask)
        if parked:
            raise Divergence(f"lanes are missing at a shuffle (block {self.moment.block})")

    def _guarded(self, instruction: Instruction, mask: Mask) -> Mask:
        if instruction.guard is None:
            return mask
        return mask & (self.register(instruction.guard) ^ instruction.negated)

    def _execute(self, position: int, mask: Mask) -> None:
        step = self._code[position]
        if step is None or not mask.any():
            return
        try:
            step(mask)
        except MemoryFault as fault:
            text = self.program.code[position].text
            raise MemoryFault(f"{fault} (block {self.moment.block}: {text})") from None

    def _meet(self, waiting: Mask, gone: Mask, parked: dict[int, Mask]) -> None:
        if parked or gone.any():
            why = "lanes are missing at a shuffle" if parked else "some threads have left"
            raise Divergence(f"a barrier that not all threads reach: {why} (block {self.moment.block})")


def _join(groups: dict[int, Mask], position: int, mask: Mask) -> None:
    if mask.any():
        groups[position] = groups[position] | mask if position in groups else mask
