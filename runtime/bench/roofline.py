"""The shortest time that a graph can take on another GPU: computed from data sheets, not measured.

Roofline model (Williams et al., CACM 2009): no faster than its arithmetic at the peak rate, nor than its bytes at the
peak bandwidth. The bytes are the least possible: parameters once, input and output, every activation kept on chip.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from edgeirf.errors import UsageError
from edgeirf.runtime.bench.flops import Cost

PRECISIONS = {"fp32": 4, "fp16": 2, "int8": 1}
"""Bytes of a parameter."""


@dataclass(frozen=True)
class Gpu:
    """Peak rates of one GPU, dense.

    The makers' "TOPS" are sparse INT8 as a rule: dense INT8 is half of it, FP16 with tensor cores a quarter. Those of
    Orin count the DLAs, which are taken off here. FP32 is cores x boost clock x 2, for engines are built without TF32.

    Attributes:
        name: as on the box.
        bandwidth: of memory, GB/s.
        fp32, fp16, int8: 10^12 operations a second.
    """

    name: str
    bandwidth: float
    fp32: float
    fp16: float
    int8: float


GPUS = {
    "orin-nano-super": Gpu("Orin Nano 8 GB Super", 102.0, 2.1, 16.75, 33.5),
    "orin-nx": Gpu("Orin NX 16 GB (25 W)", 102.4, 1.9, 15.0, 30.0),
    "agx-orin": Gpu("AGX Orin 64 GB", 204.8, 5.3, 42.5, 85.0),
    "thor": Gpu("Jetson Thor T5000", 273.0, 8.1, 258.8, 517.5),
    "rtx-a2000": Gpu("RTX A2000 12 GB", 288.0, 8.0, 31.9, 63.9),
    "rtx-4060": Gpu("RTX 4060", 272.0, 15.1, 60.5, 121.0),
    "rtx-a6000": Gpu("RTX A6000", 768.0, 38.7, 154.8, 309.7),
}


@dataclass(frozen=True)
class Bound:
    """The bound of one graph on one GPU in one precision.

    Attributes:
        compute_ms, memory_ms: arithmetic at the peak rate, bytes at the peak bandwidth.
    """

    gpu: Gpu
    precision: str
    compute_ms: float
    memory_ms: float

    @property
    def milliseconds(self) -> float:
        """The least time, ms."""
        return max(self.compute_ms, self.memory_ms)

    @property
    def limit(self) -> str:
        """``arithmetic`` or ``bandwidth``: what the bound comes from."""
        return "arithmetic" if self.compute_ms >= self.memory_ms else "bandwidth"


def least_bytes(cost: Cost, precision: str) -> int:
    """Parameters in the precision; the engine's input and output stay float32."""
    return cost.weights * PRECISIONS[precision] + 4 * (cost.inputs + cost.outputs)


def bound(cost: Cost, gpu: Gpu, precision: str) -> Bound:
    """The roofline of a graph. Operators other than convolutions and matrix products run at the FP32 rate."""
    seconds = cost.matrix_flops / (getattr(gpu, precision) * 1e12) + cost.other_flops / (gpu.fp32 * 1e12)
    return Bound(gpu, precision, seconds * 1e3, least_bytes(cost, precision) / (gpu.bandwidth * 1e9) * 1e3)


def choose(name: str) -> list[Gpu]:
    """One GPU by its short name, or all of them for ``all``.

    Raises:
        UsageError: an unknown name.
    """
    if name == "all":
        return list(GPUS.values())
    if name not in GPUS:
        raise UsageError(f"no data sheet of {name!r}: choose all or one of {', '.join(GPUS)}")
    return [GPUS[name]]


def lines(label: str, cost: Cost, gpus: list[Gpu]) -> Iterator[str]:
    """The table, and how it is to be read."""
    flops = cost.matrix_flops + cost.other_flops
    yield from textwrap.wrap(
        f"{label}: {flops / 1e9:.3f} GFLOP a frame, {cost.matrix_flops / 1e9:.3f} of them in convolutions and matrix "
        f"products; {cost.weights / 1e6:.2f} M parameters",
        80,
    )
    sizes = ", ".join(f"{least_bytes(cost, p) / 1e6:.2f} MB in {p}" for p in PRECISIONS)
    more = f"{4 * cost.activations / 1e6:.1f} MB more in fp32 if nothing were fused"
    yield from textwrap.wrap(f"bytes at least: {sizes}; {more}", 80)
    yield ""
    yield "COMPUTED, not measured: ms at least"
    yield f"{'':21}" + "".join(f"{p:>8}{'limit':>11}" for p in PRECISIONS)
    for gpu in gpus:
        bounds = [bound(cost, gpu, precision) for precision in PRECISIONS]
        yield f"{gpu.name:21}" + "".join(f"{b.milliseconds:8.4f}{b.limit:>11}" for b in bounds)
    yield ""
    yield "The network alone, batch 1, at data-sheet peaks. Networks have reached 17 to"
    yield "35 % of them on an Orin, small ones and depth-wise convolutions less."


def to_json(cost: Cost, gpus: list[Gpu]) -> dict[str, object]:
    """Plain JSON values."""
    return {
        "computed": True,
        "matrix_flops": cost.matrix_flops,
        "other_flops": cost.other_flops,
        "weights": cost.weights,
        "bytes": {precision: least_bytes(cost, precision) for precision in PRECISIONS},
        "gpus": {
            gpu.name: {
                b.precision: {"ms": b.milliseconds, "compute_ms": b.compute_ms, "memory_ms": b.memory_ms}
                for b in (bound(cost, gpu, precision) for precision in PRECISIONS)
            }
            for gpu in gpus
        },
    }
