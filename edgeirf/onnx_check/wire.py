"""The wire format of protocol buffers, read strictly: what two readers could understand differently is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["int", "ints", "float", "floats", "bytes", "many"]
"""Of a field: one whole number, several, one float32, several, one byte string, several."""
Schema = Mapping[int, tuple[str, Kind]]
"""Field number to name and kind."""
Fields = dict[str, list[int] | list[memoryview]]

MAX_FIELDS = 200_000
"""Of one message. The largest graph of the exporter has some thousand nodes."""
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


@dataclass
class Reader:
    """Walks over the fields of a message.

    Args:
        data: the message.
    """

    data: memoryview
    at: int = 0

    def varint(self) -> int:
        """The next base-128 number, below 2^64."""
        value = shift = 0
        while True:
            if self.at >= len(self.data) or shift > 63:
                raise ValueError("a number is cut short or too long")
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        if value >= 1 << 64:
            raise ValueError("a number is too large")
        return value

    def take(self, count: int) -> memoryview:
        """The next ``count`` bytes."""
        if count > len(self.data) - self.at:
            raise ValueError("a field is cut short")
        self.at += count
        return self.data[self.at - count : self.at]

    def fields(self) -> Iterator[tuple[int, int, int | memoryview]]:
        """Number, wire type and value of every field."""
        while self.at < len(self.data):
            tag = self.varint()
            wire = tag & 7
            if wire == _VARINT:
                yield tag >> 3, wire, self.varint()
            elif wire in (_FIXED64, _FIXED32):
                yield tag >> 3, wire, self.take(8 if wire == _FIXED64 else 4)
            elif wire == _LENGTH:
                yield tag >> 3, wire, self.take(self.varint())
            else:
                raise ValueError(f"wire type {wire} is not used by ONNX")


def read(data: memoryview, schema: Schema, what: str) -> Fields:
    """The fields of one message, each a list of its values in order.

    Args:
        data: the message.
        schema: the fields that it may have.
        what: name of the message, for errors.

    Raises:
        ValueError: damaged, a field that ``schema`` lacks, one of another type, or one that is there twice.
    """
    found: dict[str, list[int | memoryview]] = {}
    for count, (number, wire, value) in enumerate(Reader(data).fields()):
        if number not in schema:
            raise ValueError(f"{what} has field {number}, which edgeirf never writes")
        if count >= MAX_FIELDS:
            raise ValueError(f"{what} has too many fields")
        name, kind = schema[number]
        values = found.setdefault(name, [])
        if kind not in ("ints", "floats", "many") and values:
            raise ValueError(f"{what} has its {name} twice")
        values.extend(_values(value, wire, kind, f"{what}.{name}"))
    return found  # type: ignore[return-value]


def _values(value: int | memoryview, wire: int, kind: Kind, what: str) -> list[int | memoryview]:
    if kind in ("int", "ints") and isinstance(value, int):
        return [_signed(value)]
    if kind in ("bytes", "many") and wire == _LENGTH:
        return [value]
    if kind in ("float", "floats") and wire == _FIXED32:
        return [value]
    if kind == "ints" and isinstance(value, memoryview) and wire == _LENGTH:  # packed
        packed = Reader(value)
        numbers: list[int | memoryview] = []
        while packed.at < len(value):
            numbers.append(_signed(packed.varint()))
        return numbers
    raise ValueError(f"{what} is of another type")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
