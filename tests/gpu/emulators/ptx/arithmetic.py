"""What each arithmetic instruction computes, on whole arrays of threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]

TYPES: dict[str, np.dtype[Any]] = {
    **{f"{kind}{bits}": np.dtype(f"{code}{bits // 8}") for kind, code in (("u", "u"), ("s", "i"), ("b", "u"))
       for bits in (8, 16, 32, 64)},
    "f16": np.dtype("f2"), "f32": np.dtype("f4"), "f64": np.dtype("f8"), "pred": np.dtype("?"),
}  # fmt: skip


def _divide(a: Values, b: Values) -> Values:
    if a.dtype.kind == "f":
        return np.divide(a, b)
    safe = np.where(b == 0, 1, b)
    quotient = np.floor_divide(np.abs(a), np.abs(safe)) if a.dtype.kind == "i" else np.floor_divide(a, safe)
    return np.where((a < 0) != (safe < 0), -quotient, quotient).astype(a.dtype) if a.dtype.kind == "i" else quotient


def _shift(a: Values, by: Values, left: bool) -> Values:
    bits = 8 * a.dtype.itemsize
    amount = np.minimum(by, bits - 1).astype(a.dtype)
    over = by >= bits
    if left:
        return np.where(over, 0, np.left_shift(a, amount)).astype(a.dtype)
    shifted = np.right_shift(a, amount)
    return shifted if a.dtype.kind == "i" else np.where(over, 0, shifted).astype(a.dtype)


BINARY: dict[str, Callable[[Values, Values], Values]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": _divide,
    "rem": np.fmod,
    "min": np.fmin,  # a number beats NaN, as in PTX
    "max": np.fmax,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}

UNARY: dict[str, Callable[[Values], Values]] = {
    "neg": np.negative,
    "abs": np.abs,
    "not": np.invert,
    "sqrt": np.sqrt,
    "rcp": lambda a: np.divide(a.dtype.type(1), a),
    "brev": lambda a: _reverse_bits(a),
}

_ORDER: dict[str, Callable[[Values, Values], Values]] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lo": np.less,
    "ls": np.less_equal,
    "hi": np.greater,
    "hs": np.greater_equal,
}


def shift_left(a: Values, by: Values) -> Values:
    """``shl``: zero once all bits have left."""
    return _shift(a, by, True)


def shift_right(a: Values, by: Values) -> Values:
    """``shr``: signed types keep their sign."""
    return _shift(a, by, False)


def compare(relation: str, a: Values, b: Values) -> Values:
    """``setp``: a comparison with NaN is false, or true where the relation ends in ``u``."""
    unordered = np.isnan(a) | np.isnan(b) if a.dtype.kind == "f" else np.zeros(1, bool)
    if relation in ("nan", "num"):
        return unordered if relation == "nan" else ~unordered
    if relation in _ORDER:
        return _ORDER[relation](a, b) & ~unordered
    return _ORDER[relation[:-1]](a, b) | unordered


def convert(parts: tuple[str, ...], value: Values) -> Values:
    """``cvt.<rounding>[.sat].<to>.<from>``: floats to integers saturate, NaN becomes 0; ``sat`` cuts to 0..1."""
    target = TYPES[parts[-2]]
    rounding = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}
    whole = next((rounding[part] for part in parts if part in rounding), None)
    if value.dtype.kind == "f" and whole is not None:
        value = whole(value)
    if value.dtype.kind == "f" and target.kind in "iu":
        limits = np.iinfo(target)
        wide = np.nan_to_num(value.astype(np.float64), nan=0.0, posinf=limits.max, neginf=limits.min)
        return np.where(wide >= float(limits.max), limits.max, np.clip(wide, limits.min, None).astype(target))
    if "sat" in parts:
        if target.kind != "f":
            raise NotImplementedError(".".join(parts))
        value = np.where(np.isnan(value), 0, np.clip(value, 0, 1))
    return value.astype(target)


def multiply_wide(a: Values, b: Values) -> Values:
    """``mul.wide``: all bits of the product."""
    double = np.dtype(f"{a.dtype.kind}{2 * a.dtype.itemsize}")
    return np.multiply(a.astype(double), b.astype(double))


def multiply_high(a: Values, b: Values) -> Values:
    """``mul.hi``: the upper half of the product."""
    if a.dtype.itemsize == 8:  # wider than numpy goes
        return (a.astype(object) * b.astype(object) >> 64).astype(a.dtype)
    product = multiply_wide(a, b)
    return (product >> product.dtype.type(8 * a.dtype.itemsize)).astype(a.dtype)


def count_bits(a: Values) -> Values:
    """``popc``."""
    shifts = np.arange(8 * a.dtype.itemsize).astype(a.dtype)
    return (a[:, None] >> shifts & a.dtype.type(1)).sum(axis=1).astype(np.uint32)


def multiply_add(a: Values, b: Values, c: Values) -> Values:
    """``fma``: one rounding. Float64 holds the product of two float32 exactly."""
    if a.dtype == np.float32:
        return (a.astype(np.float64) * b + c).astype(np.float32)
    return a * b + c


def permute(a: Values, b: Values, selector: Values) -> Values:
    """``prmt``: each byte of the result picked from the eight of ``b:a``."""
    both = a.astype(np.uint64) | b.astype(np.uint64) << np.uint64(32)
    result = np.zeros(np.broadcast_shapes(a.shape, b.shape, selector.shape), np.uint64)
    for place in range(4):
        pick = (selector >> np.uint32(4 * place)).astype(np.uint64) & np.uint64(15)
        byte = both >> (pick & np.uint64(7)) * np.uint64(8) & np.uint64(255)
        sign = np.where(byte & np.uint64(128), np.uint64(255), np.uint64(0))
        result |= np.where(pick & np.uint64(8), sign, byte) << np.uint64(8 * place)
    return result.astype(np.uint32)


def insert_bits(a: Values, b: Values, start: Values, length: Values) -> Values:
    """``bfi``: the low ``length`` bits of ``a`` put into ``b`` at ``start``."""
    kind, bits = b.dtype.type, 8 * b.dtype.itemsize
    start, length = np.minimum(start, bits).astype(np.uint64), np.minimum(length, bits).astype(np.uint64)
    ones = shift_left(np.broadcast_to(kind(1), np.broadcast_shapes(a.shape, length.shape)), length) - kind(1)
    mask = shift_left(ones.astype(b.dtype), start)
    return (shift_left(a, start) & mask) | (b & ~mask)


def highest_bit(a: Values, from_left: bool) -> Values:
    """``bfind``: place of the highest set bit, or its distance from the left; all ones for zero."""
    bits = 8 * a.dtype.itemsize
    place = np.frexp(a.astype(np.float64))[1] - 1  # exact for 32 bits
    found = bits - 1 - place if from_left else place
    return np.where(a == 0, 2**32 - 1, found).astype(np.uint32)


def leading_zeros(a: Values) -> Values:
    """``clz``, of 32 bits."""
    return np.where(a == 0, 32, highest_bit(a, from_left=True)).astype(np.uint32)


def _reverse_bits(a: Values) -> Values:
    result = np.zeros_like(a)
    for place in range(8 * a.dtype.itemsize):
        bit = a >> a.dtype.type(place) & a.dtype.type(1)
        result |= bit << a.dtype.type(8 * a.dtype.itemsize - 1 - place)
    return result
