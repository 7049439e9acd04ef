"""One step for each instruction: a function of the threads that execute it, with its operands already at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ptx import accesses, arithmetic, warps
from ptx.arithmetic import TYPES, Values
from ptx.program import Instruction

if TYPE_CHECKING:
    from ptx.machine import Machine

Mask = NDArray[np.bool_]
Step = Callable[[Mask], None]
Compute = tuple[Callable[..., Values], list[str], str]
"""What to compute, the types of its sources, and the type of its result."""

CONTROL = ("bra", "ret", "exit", "bar", "barrier")
"""Instructions that direct the flow: the machine follows them itself."""

_MODIFIERS = {
    *TYPES,
    *("rn", "rni", "rzi", "rmi", "rpi", "sat", "lo", "hi", "wide", "to", "sync", "uni", "shiftamt"),
    *("global", "shared", "param", "nc", "ca", "cg", "cs", "volatile", "relaxed", "gpu", "gl", "cta", "v2", "v4"),
    *("bfly", "up", "down", "idx", "ballot", "add", "min", "max", "exch", "inc", "and", "or", "xor"),
    *("eq", "ne", "lt", "le", "gt", "ge", "ls", "hs", "nan", "num", "equ", "neu", "ltu", "leu", "gtu", "geu"),
}


def compile_step(machine: Machine, instruction: Instruction) -> Step | None:
    """The step of an instruction; None for those in :data:`CONTROL`.

    Raises:
        NotImplementedError: an instruction or a modifier that no kernel needed so far; none is ever ignored.
    """
    name, parts = instruction.parts[0], instruction.parts
    if not set(parts[1:]) <= _MODIFIERS or ("sat" in parts and name != "cvt"):
        raise NotImplementedError(instruction.text)
    if name in CONTROL:
        return None
    if name in _FACTORIES:
        return _FACTORIES[name](machine, instruction)
    if name in _COMPUTATIONS:
        return _result(machine, instruction, _COMPUTATIONS[name](parts))
    if name in arithmetic.BINARY:
        return _result(machine, instruction, (arithmetic.BINARY[name], [parts[-1]] * 2, parts[-1]))
    if name in arithmetic.UNARY:
        return _result(machine, instruction, (arithmetic.UNARY[name], [parts[-1]], parts[-1]))
    raise NotImplementedError(instruction.text)


def _result(machine: Machine, instruction: Instruction, compute: Compute) -> Step:
    function, kinds, result = compute
    target = machine.register(instruction.operands[0])
    sources = [machine.operand(text, TYPES[kind]) for text, kind in zip(instruction.operands[1:], kinds, strict=True)]
    dtype = TYPES[result]

    def step(mask: Mask) -> None:
        with np.errstate(all="ignore"):
            value = function(*sources)
        accesses.write(target, value.astype(dtype, copy=False), mask)

    return step


def _multiply(parts: tuple[str, ...]) -> Compute:
    kind = parts[-1]
    if "wide" in parts:
        return arithmetic.multiply_wide, [kind, kind], _doubled(kind)
    return (arithmetic.multiply_high if "hi" in parts else np.multiply), [kind, kind], kind


def _multiply_add(parts: tuple[str, ...]) -> Compute:
    kind = parts[-1]
    if "wide" in parts:
        wide = _doubled(kind)
        return lambda a, b, c: arithmetic.multiply_wide(a, b) + c, [kind, kind, wide], wide
    return arithmetic.multiply_add, [kind] * 3, kind


def _doubled(kind: str) -> str:
    return f"{kind[0]}{2 * int(kind[1:])}"


_COMPUTATIONS: dict[str, Callable[[tuple[str, ...]], Compute]] = {
    "mul": _multiply,
    "mad": _multiply_add,
    "fma": _multiply_add,
    "shl": lambda parts: (arithmetic.shift_left, [parts[-1], "u32"], parts[-1]),
    "shr": lambda parts: (arithmetic.shift_right, [parts[-1], "u32"], parts[-1]),
    "cvt": lambda parts: (lambda value: arithmetic.convert(parts, value), [parts[-1]], parts[-2]),
    "cvta": lambda parts: (lambda value: value, [parts[-1]], parts[-1]),
    "selp": lambda parts: (lambda a, b, first: np.where(first, a, b), [parts[-1]] * 2 + ["pred"], parts[-1]),
    "prmt": lambda parts: (arithmetic.permute, ["u32"] * 3, "u32"),
    "bfi": lambda parts: (arithmetic.insert_bits, [parts[-1]] * 2 + ["u32"] * 2, parts[-1]),
    "bfind": lambda parts: (lambda a: arithmetic.highest_bit(a, "shiftamt" in parts), [parts[-1]], "u32"),
    "clz": lambda parts: (arithmetic.leading_zeros, ["u32"], "u32"),
    "popc": lambda parts: (arithmetic.count_bits, [parts[-1]], "u32"),
}


def _set_predicate(machine: Machine, instruction: Instruction) -> Step:
    """``setp.<relation>[.<and|or|xor>].<type>``."""
    parts, operands = instruction.parts, instruction.operands
    target = machine.register(operands[0])
    a, b = (machine.operand(text, TYPES[parts[-1]]) for text in operands[1:3])
    combine = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}.get(parts[2])
    other = machine.operand(operands[3], TYPES["pred"]) if combine else None

    def step(mask: Mask) -> None:
        value = arithmetic.compare(parts[1], a, b)
        np.copyto(target, combine(value, other) if combine is not None else value, where=mask)

    return step


def _move(machine: Machine, instruction: Instruction) -> Step:
    """``mov``, also the ones that take a register apart or put one together."""
    target, source = instruction.operands
    kind = instruction.parts[-1]
    if "{" in target:
        return _unpack(machine, accesses.names(target), source, TYPES[kind].itemsize)
    if "{" in source:
        return _pack(machine, target, accesses.names(source), TYPES[kind].itemsize)
    if kind == "pred" and not source.startswith("%"):
        constant, register = np.array([source != "0"]), machine.register(target)
        return lambda mask: np.copyto(register, constant, where=mask)
    return _result(machine, instruction, (lambda value: value, [kind], kind))


def _unpack(machine: Machine, targets: list[str], source: str, width: int) -> Step:
    part = width // len(targets)
    whole = machine.operand(source, np.dtype(f"u{width}"))

    def step(mask: Mask) -> None:
        for place, name in enumerate(targets):
            if name != "_":
                value = (whole >> whole.dtype.type(8 * part * place)).astype(f"u{part}")
                accesses.write(machine.register(name), value, mask)

    return step


def _pack(machine: Machine, target: str, sources: list[str], width: int) -> Step:
    pieces = [machine.operand(name, np.dtype(f"u{width // len(sources)}")) for name in sources]
    register = machine.register(target)

    def step(mask: Mask) -> None:
        whole = np.zeros(machine.threads, f"u{width}")
        for place, piece in enumerate(pieces):
            whole |= piece.astype(whole.dtype) << whole.dtype.type(8 * width // len(pieces) * place)
        accesses.write(register, whole, mask)

    return step


_FACTORIES: dict[str, Callable[[Machine, Instruction], Step]] = {
    "setp": _set_predicate,
    "mov": _move,
    "ld": accesses.load,
    "st": accesses.store,
    "atom": accesses.atomic,
    "red": accesses.atomic,
    "membar": accesses.fence,
    "fence": accesses.fence,
    "shfl": warps.shuffle,
    "vote": warps.vote,
}
