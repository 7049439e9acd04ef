"""The PTX interpreter computes what C++ computes, and sees the faults that it is there to see."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from ptx.build import program
from ptx.device import Interpreter
from ptx.machine import Divergence, Machine
from ptx.memory import MemoryFault
from shim import build
from shim.device import KernelFault, Shim, allocate

from edgeirf.runtime.kernels import Launch, folder

ZOO = Path(__file__).resolve().parent / "zoo"
ARGS = np.dtype([("data", "u8"), ("flag", "u8"), ("count", "i4")], align=True)
RESULTS = 24

pytestmark = [
    pytest.mark.skipif(not shutil.which("nvcc"), reason="needs nvcc to make PTX"),
    pytest.mark.skipif(not shutil.which("g++"), reason="needs g++ to run the kernels on the CPU"),
]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zoo's sources with the header that they share with the kernels."""
    place = tmp_path_factory.mktemp("zoo")
    for path in (*ZOO.glob("*.cu"), folder() / "platform.cuh"):
        shutil.copy(path, place)
    return place


def test_arithmetic_is_that_of_cpp(zoo: Path) -> None:
    """Bit for bit, over random and over extreme numbers."""
    numbers = np.random.default_rng(0).integers(0, 2**32, (64, 2), dtype=np.uint32)
    numbers[:32, 1] >>= np.arange(32, dtype=np.uint32)
    numbers[40:48] = [[0, 0], [1, 1], [2**31, 1], [2**31 - 1, 2**31], [2**32 - 1, 1], [7, 2**32 - 1], [0, 5], [5, 3]]
    dtype = np.dtype([("input", "u8"), ("output", "u8"), ("count", "i4")], align=True)
    buffers = {"input": numbers.nbytes, "output": 4 * RESULTS * len(numbers)}
    plan = Launch("arithmetic", "arithmetic.cu", (2, 1, 1), (32, 1, 1), np.zeros((), dtype), buffers)
    ours, theirs = allocate(plan, input=numbers), allocate(plan, input=numbers)
    Machine(program("arithmetic", "arithmetic.cu", zoo), plan, ours).run()
    Shim(build.library(zoo, {"arithmetic.cu": ("arithmetic",)})).launch(plan, theirs)
    np.testing.assert_array_equal(*(b["output"].view(np.uint32).reshape(-1, RESULTS) for b in (ours, theirs)))


def launch(kernel: str, blocks: int = 1) -> Launch:
    buffers = {"data": 4 * 64 * (3 if blocks > 1 else 1), "flag": 4}
    return Launch(kernel, "faults.cu", (blocks, 1, 1), (64, 1, 1), np.array((0, 0, 1), ARGS), buffers)


def run(kernel: str, zoo: Path, blocks: int = 1, backwards: bool = False) -> np.ndarray:
    plan = launch(kernel, blocks)
    buffers = allocate(plan, data=np.arange(64, dtype=np.uint32), flag=np.zeros(1, np.uint32))
    Interpreter(zoo, backwards).launch(plan, buffers)
    return buffers["data"].view(np.uint32)


def test_sound_kernels_pass(zoo: Path) -> None:
    thread = np.arange(64)
    np.testing.assert_array_equal(run("rotate", zoo), (thread + 1) % 64)
    np.testing.assert_array_equal(run("shuffle", zoo), np.where(thread % 32 < 31, thread + 1, thread))
    np.testing.assert_array_equal(run("counting", zoo), 64)
    for backwards in (False, True):
        np.testing.assert_array_equal(run("last_block", zoo, 2, backwards)[128:], 2 * thread)


@pytest.mark.parametrize(
    ("kernel", "fault", "message"),
    [
        ("rotate_without_barrier", MemoryFault, "race"),
        ("rotate_in_global_memory", MemoryFault, "race"),
        ("all_write_one", MemoryFault, "race"),
        ("one_too_far", MemoryFault, "out of bounds"),
        ("one_too_far_in_shared_memory", MemoryFault, "out of bounds"),
        ("misaligned", MemoryFault, "misaligned"),
        ("half_at_the_barrier", Divergence, "barrier"),
        ("two_barriers", Divergence, "barrier"),
        ("left_before_the_barrier", Divergence, "barrier"),
        ("shuffle_without_some", Divergence, "shuffle"),
        ("counting_without_atomics", MemoryFault, "race"),
    ],
)
def test_faults_are_seen(zoo: Path, kernel: str, fault: type[Exception], message: str) -> None:
    with pytest.raises(fault, match=message):
        run(kernel, zoo)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [("last_block_without_write_fence", "writer has not fenced"), ("last_block_without_read_fence", "reader has not")],
)
def test_missing_fences_are_seen(zoo: Path, kernel: str, message: str) -> None:
    with pytest.raises(MemoryFault, match=message):
        run(kernel, zoo, 2)


SHIM_FAULTS = {
    "one_too_far": "out of bounds",
    "misaligned": "misaligned",
    "half_at_the_barrier": "divergence",
    "two_barriers": "divergence",
    "left_before_the_barrier": "divergence",
    "shuffle_without_some": "divergence",
}


@pytest.mark.parametrize(("kernel", "message"), list(SHIM_FAULTS.items()))
def test_the_shim_sees_its_share(zoo: Path, kernel: str, message: str) -> None:
    plan = launch(kernel)
    library = build.library(zoo, {"faults.cu": tuple(SHIM_FAULTS)})
    with pytest.raises(KernelFault, match=message):
        Shim(library).launch(plan, allocate(plan))


def test_nothing_unknown_is_ignored(zoo: Path) -> None:
    """An instruction or a modifier that the interpreter does not know stops it."""
    other = zoo / "unknown"
    other.mkdir()
    shutil.copy(zoo / "platform.cuh", other)
    fast = "\nKERNEL(fast) { store(reinterpret_cast<float*>(args.data), __sinf(args.count)); }\n"
    (other / "faults.cu").write_text((zoo / "faults.cu").read_text() + fast)
    plan = launch("fast")
    with pytest.raises(NotImplementedError, match="approx"):
        Interpreter(other).launch(plan, allocate(plan))
