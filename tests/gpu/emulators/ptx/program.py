"""PTX text to instructions. Only what one kernel of nvcc's output holds: no functions, no textures, no local memory."""

from __future__ import annotations

import re
from dataclasses import dataclass

WIDTHS = {"pred": 0, "b16": 2, "b32": 4, "f32": 4, "b64": 8, "f64": 8}


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        guard: predicate register that switches it on, or None.
        negated: the guard switches it off instead.
        parts: ``ld.global.cs.u32`` as ``("ld", "global", "cs", "u32")``.
        operands: as written; vectors keep their braces, addresses their brackets.
        text: the whole statement, for messages.
    """

    guard: str | None
    negated: bool
    parts: tuple[str, ...]
    operands: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Program:
    """One kernel.

    Attributes:
        name: its name.
        parameter: name and bytes of its only parameter.
        shared: name to offset of each shared variable.
        shared_sizes: name to bytes.
        shared_bytes: of all of them, gaps included.
        registers: register prefix (``%rd``) to width in bytes; 0 for predicates.
        code: instructions in order.
        labels: name to index in ``code``.
    """

    name: str
    parameter: tuple[str, int]
    shared: dict[str, int]
    shared_sizes: dict[str, int]
    shared_bytes: int
    registers: dict[str, int]
    code: tuple[Instruction, ...]
    labels: dict[str, int]


def parse(text: str, name: str) -> Program:
    """The kernel ``name`` of a PTX module."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)
    entry = re.search(rf"\.entry\s+{re.escape(name)}\s*\((.*?)\)", text, re.S)
    if entry is None:
        raise ValueError(f"no kernel {name}")
    parameter = re.search(r"\.param\s+\.align\s+\d+\s+\.b8\s+(\w+)\[(\d+)\]", entry[1])
    if parameter is None:
        raise ValueError(f"{name} does not take one struct")
    body = _body(text, text.index("{", entry.end()))
    shared, sizes, shared_bytes = _shared(body)
    registers = {prefix: WIDTHS[kind] for kind, prefix in re.findall(r"\.reg\s+\.(\w+)\s+(%[a-z]+)<", body)}
    code, labels = _statements(body)
    return Program(name, (parameter[1], int(parameter[2])), shared, sizes, shared_bytes, registers, code, labels)


def _body(text: str, start: int) -> str:
    depth = 0
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[start + 1 : position]
    raise ValueError("the kernel's braces do not close")


def _shared(body: str) -> tuple[dict[str, int], dict[str, int], int]:
    """Offsets of the shared variables, laid out one after the other with a gap, so that a step too far shows."""
    offsets: dict[str, int] = {}
    sizes: dict[str, int] = {}
    end = 0
    for kind, name, count in re.findall(r"\.shared\s+\.align\s+\d+\s+\.([a-z]+\d+)\s+([\w$]+)(?:\[(\d+)\])?;", body):
        offsets[name] = end
        sizes[name] = int(kind[1:]) // 8 * int(count or 1)
        end += -(-sizes[name] // 64) * 64 + 64
    return offsets, sizes, end


def _statements(body: str) -> tuple[tuple[Instruction, ...], dict[str, int]]:
    code: list[Instruction] = []
    labels: dict[str, int] = {}
    for statement in body.split(";"):
        text = statement.lstrip("{} \n\t").rstrip()
        while label := re.match(r"([$\w]+):\s*", text):
            labels[label[1]] = len(code)
            text = text[label.end() :].lstrip("{} \n\t")
        if text and not text.startswith("."):
            code.append(_instruction(text))
    return tuple(code), labels


def _instruction(text: str) -> Instruction:
    match = re.match(r"(?:@(!?)(%\w+)\s+)?([a-z][\w.:]*)\s*(.*)", text, re.S)
    if match is None:
        raise ValueError(f"cannot read {text!r}")
    operands = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", match[4])
    return Instruction(match[2], match[1] == "!", tuple(match[3].split(".")), tuple(operands), " ".join(text.split()))
