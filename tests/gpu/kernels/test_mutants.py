"""The proofs can fail: each of these faults, planted in the real kernels, is found.

A fault in what is computed shows on the CPU (``shim``), one in how threads wait for each other in the interpreter
(``ptx``), which sees races that no order of threads on a CPU would show.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import batteries
import pytest
from ptx.device import Interpreter
from ptx.machine import Divergence
from ptx.memory import MemoryFault
from shim import build
from shim.device import KernelFault, Shim

from edgeirf.runtime.kernels import folder

pytestmark = [
    pytest.mark.skipif(not shutil.which("nvcc"), reason="needs nvcc to make PTX"),
    pytest.mark.skipif(not shutil.which("g++"), reason="needs g++ to run the kernels on the CPU"),
]

FOUND = (AssertionError, KernelFault, MemoryFault, Divergence)


@dataclass(frozen=True)
class Mutant:
    """A fault: ``old`` in ``file`` becomes ``new``; ``place`` counts the occurrences.

    Attributes:
        kernel: the one to run: a source of ``preprocess.cu``, or ``postprocess``.
        finder: who must find it.
    """

    file: str
    old: str
    new: str
    kernel: str
    finder: Literal["shim", "ptx"] = "shim"
    place: int = 0


BARRIER = "__syncthreads();"
MUTANTS = {
    # Pixels
    "a source column short": Mutant("resize.cuh", "from <= columns.last", "from < columns.last", "packed8"),
    "a source row short": Mutant("resize.cuh", "row <= rows.last", "row < rows.last", "packed8"),
    "every first row taken for shared": Mutant("resize.cuh", "rows.first > held", "held < 0", "packed8"),
    "a sample off by one": Mutant("resize.cuh", "origin + (from", "origin + 1 + (from", "packed8"),
    "ties always to even": Mutant("resize.cuh", "(ties_up || (quotient & 1))", "(quotient & 1)", "packed8"),
    "sums of 32 bits": Mutant("resize.cuh", "uint64 total[3]", "uint32 total[3]", "packed16"),
    "blocks overlap the next row": Mutant(
        "resize.cuh", "min(left + args.block_columns, args.out_width)", "left + args.block_columns", "packed8"
    ),
    "the next tile's first column": Mutant(
        "resize.cuh",
        "(column + 1) * args.width / args.tile_columns",
        "left + args.width / args.tile_columns",
        "packed8",
    ),
    "planes interleaved": Mutant("resize.cuh", "index + c * plane, input", "index + c, input", "packed8"),
    "half planes interleaved": Mutant("resize.cuh", "index + c * plane, half", "index + c, half", "packed8"),
    "pixels of the first tile": Mutant("resize.cuh", "tile * plane + place, blue", "place, blue", "packed8"),
    "pixels the other way round": Mutant("resize.cuh", "blue << 32 | red_green", "red_green << 16 | blue", "packed8"),
    "a fourth value": Mutant("resize.cuh", "blue << 32 | red", "blue << 48 | blue << 32 | red", "packed8"),
    "red and blue swapped": Mutant(
        "resize.cuh", "red_first ? value[0] : value[2]", "red_first ? value[2] : value[0]", "packed8"
    ),
    "one multiply-add": Mutant(
        "resize.cuh",
        "__fadd_rn(__fmul_rn(static_cast<float>(rgb[c]), args.scale[c]), args.offset[c])",
        "fmaf(static_cast<float>(rgb[c]), args.scale[c], args.offset[c])",
        "packed8",
    ),
    "the last column's neighbour": Mutant("resize.cuh", "far = min(near + 1, inputs - 1)", "far = near + 1", "packed8"),
    "words beyond the row": Mutant("sources.cuh", "used = mine < right * pixel_bytes;", "used = true;", "packed8"),
    "no mosaic row below the last": Mutant(
        "sources.cuh",
        "y = clamp(y, 1, args.frame_height - 2);\n    if",
        "y = clamp(y, 1, args.frame_height - 1);\n    if",
        "bayer8",
    ),
    "the wrong neighbour": Mutant("sources.cuh", "bits, 1) & 255", "bits, 1) >> 8 & 255", "bayer8"),
    "a warp's rim left out": Mutant(
        "sources.cuh", "threadIdx.x % kWarp == 0 && x > 0", "threadIdx.x == 0 && x > 0", "bayer8"
    ),
    "the wrong chroma": Mutant("sources.cuh", "(i / 2 * 16)", "(i % 2 * 16)", "nv12"),
    "stale chroma": Mutant("sources.cuh", "if (y / 2 == chroma_row) return;", "if (chroma_row >= 0) return;", "nv12"),
    # Threads of the pre-processing kernel
    "one line of sums for all rows": Mutant("resize.cuh", "sums.values[y & 1]", "sums.values[0]", "packed8", "ptx"),
    # Scores
    "a channel short": Mutant("density.cuh", "channel < args.channels", "channel + 1 < args.channels", "postprocess"),
    "cells beyond the last": Mutant("density.cuh", "cell < args.tiles * cells", "true", "postprocess"),
    "tiles in columns": Mutant("density.cuh", "tile % args.tile_columns", "tile / args.tile_columns", "postprocess"),
    "a row tap short": Mutant("smooth.cuh", "k < args.row_taps", "k + 1 < args.row_taps", "postprocess"),
    "a column tap short": Mutant("smooth.cuh", "k < args.column_taps", "k + 1 < args.column_taps", "postprocess"),
    "rows beyond the map": Mutant("smooth.cuh", "if (i < rows)", "if (rows > 0)", "postprocess"),
    "one panel only": Mutant("smooth.cuh", "+ args.row_taps - first_cell;", "- first_cell + 1;", "postprocess"),
    "NaN dropped": Mutant("reduce.cuh", "b > a || b != b", "b > a", "postprocess"),
    "the wrong k": Mutant("score.cuh", "wanted -= __shfl_sync(kAllLanes, above, owner);", "", "postprocess"),
    "a digit lost": Mutant("score.cuh", "if (run) atomicAdd(histogram + last, run);", "", "postprocess"),
    "ties do not count": Mutant(
        "score.cuh", "load_constant(scores + i) >= score", "load_constant(scores + i) > score", "postprocess"
    ),
    # Regions
    "a diagonal to the right missing": Mutant(
        "regions.cuh", "!last && above(north + 1)", "!last && false", "postprocess"
    ),
    "a diagonal to the left missing": Mutant("regions.cuh", "if (north_west && !west)", "if (false)", "postprocess"),
    "a pixel that leaves the joining to nobody": Mutant(
        "regions.cuh", "if (!(west && north_west))", "if (!west)", "postprocess"
    ),
    "runs of two warps apart": Mutant("regions.cuh", "west && lane_index() == 0", "false", "postprocess"),
    "runs over the end of a row": Mutant(
        "regions.cuh", "min(x, lane_index() -", "min(x + 32, lane_index() -", "postprocess"
    ),
    "gaps in runs": Mutant("regions.cuh", "~__ballot_sync(kAllLanes, above)", "0u", "postprocess"),
    "pixels before the first marked one": Mutant("regions.cuh", "i >= marked.first && i", "i", "postprocess"),
    "the last marked pixel left out": Mutant(
        "regions.cuh", "max(marked.last, index)", "max(marked.last, index - 1)", "postprocess"
    ),
    "the same region twice": Mutant("regions.cuh", "key < limit", "true", "postprocess"),
    "peaks of a thread lost": Mutant(
        "regions.cuh", "if (last != kNone) atomicMax(regions.peaks + last, peak);\n  __sync", "__sync", "postprocess"
    ),
    "pixels of a thread lost": Mutant("regions.cuh", "if (at >= 0) add(extents[at], mine);\n}", "}", "postprocess"),
    "boxes a pixel short": Mutant("regions.cuh", "extent.left + 1", "extent.left", "postprocess"),
    # Threads of the post-processing kernel
    "a lost union": Mutant("regions.cuh", "if (seen == high) return;", "return;", "postprocess", "ptx"),
    "a barrier that some do not reach": Mutant(
        "reduce.cuh", BARRIER, "if (threadIdx.x < 512) __syncthreads();", "postprocess", "ptx"
    ),
    "a shuffle without some lanes": Mutant(
        "reduce.cuh", "value = combine(value,", "if (lane_index() < 20) value = combine(value,", "postprocess", "ptx"
    ),
    "an arrival that is not atomic": Mutant(
        "density.cuh",
        "last = atomicInc(args.workspace + kArrived, gridDim.x - 1) == gridDim.x - 1;",
        "last = (args.workspace[kArrived] = (args.workspace[kArrived] + 1) % gridDim.x) == 0;",
        "postprocess",
        "ptx",
    ),
}


def examine_twice(mutant: Mutant, kernels: Path) -> None:
    """By both finders."""
    examine(mutant, kernels)
    examine(replace(mutant, finder="shim"), kernels)


SYNCHRONISATION = [
    (path.name, what, place)
    for path in sorted(folder().glob("*.cu*"))
    for what in (BARRIER, "__threadfence();")
    for place in range(path.read_text().count(what))
]


def plant(mutant: Mutant, place: Path) -> Path:
    """A copy of the kernels with the fault in it."""
    kernels = place / "kernels"
    shutil.copytree(folder(), kernels, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    path = kernels / mutant.file
    parts = path.read_text().split(mutant.old)
    assert len(parts) > mutant.place + 1, f"{mutant.file} no longer has {mutant.old!r}"
    head = mutant.old.join(parts[: mutant.place + 1])
    path.write_text(head + mutant.new + mutant.old.join(parts[mutant.place + 1 :]))
    return kernels


def examine(mutant: Mutant, kernels: Path) -> None:
    """Runs the battery of the mutant's kernel with its finder."""
    post = mutant.kernel == "postprocess"
    file, kernel = ("postprocess.cu", "postprocess") if post else ("preprocess.cu", f"preprocess_{mutant.kernel}")
    if mutant.finder == "shim":
        device = Shim(build.library(kernels, {file: (kernel,)}, optimise=False))
        (batteries.postprocess_fields if post else batteries.preprocess_frames(mutant.kernel))(device)
    else:
        (batteries.postprocess_few if post else batteries.preprocess_few(mutant.kernel))(Interpreter(kernels))


@pytest.mark.parametrize("name", MUTANTS)
def test_the_fault_is_found(name: str, tmp_path: Path) -> None:
    mutant = MUTANTS[name]
    kernels = plant(mutant, tmp_path)
    with pytest.raises(FOUND):
        examine(mutant, kernels)


@pytest.mark.parametrize(("file", "what", "place"), SYNCHRONISATION)
def test_every_barrier_and_fence_is_needed(file: str, what: str, place: int, tmp_path: Path) -> None:
    """Left out, each is missed: as a race, or where only atomics meet, in the result."""
    kernel = "packed8" if file in ("preprocess.cu", "resize.cuh") else "postprocess"
    mutant = Mutant(file, what, "", kernel, "ptx", place)
    kernels = plant(mutant, tmp_path)
    with pytest.raises(FOUND):
        examine_twice(mutant, kernels)


@pytest.mark.parametrize("finder", ["shim", "ptx"])
@pytest.mark.parametrize("kernel", ["packed8", "packed16", "bayer8", "nv12", "postprocess"])
def test_the_kernels_themselves_pass(kernel: str, finder: Literal["shim", "ptx"], tmp_path: Path) -> None:
    mutant = Mutant("reduce.cuh", "#pragma once", "#pragma once  // unchanged", kernel, finder)
    examine(mutant, plant(mutant, tmp_path))
