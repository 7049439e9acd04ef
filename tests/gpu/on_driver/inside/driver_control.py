"""What the stand-in driver counts, and the errors it is told to make; for tests that run on it."""

from __future__ import annotations

import ctypes

_library = ctypes.CDLL("libcuda.so.1")
_library.standin_count.restype = ctypes.c_long
_library.standin_live.restype = ctypes.c_long
_library.standin_counts.restype = ctypes.c_long

OUT_OF_MEMORY, UNKNOWN, LAUNCH_FAILED = 2, 999, 719
KINDS = ("memory", "streams", "events", "graphs", "modules", "contexts")

SCHEDULES = ("lazy", "others", "random", "eager")
"""For :func:`schedule`."""


def count(what: str) -> int:
    """Calls of an entry point, or one of: launches, kernels, graph_launches, graph_captures, synchronisations,
    implicit_synchronisations, device_allocations, pinned_allocations, host_functions, bytes_up, bytes_down."""
    return int(_library.standin_count(what.encode()))


def counts() -> dict[str, int]:
    """Every counter that is not zero."""
    buffer = ctypes.create_string_buffer(65536)
    _library.standin_counts(buffer, len(buffer))
    return {name: int(value) for name, value in (line.split() for line in buffer.value.decode().splitlines())}


def live() -> dict[str, int]:
    """Objects that have not been given back, by kind; only those there are."""
    alive = {kind: int(_library.standin_live(kind.encode())) for kind in KINDS}
    return {kind: number for kind, number in alive.items() if number}


def primary_flags() -> int:
    """Of the primary context."""
    flags, active = ctypes.c_uint(), ctypes.c_int()
    _library.cuDevicePrimaryCtxGetState(0, ctypes.byref(flags), ctypes.byref(active))
    return flags.value


def fail(entry: str, nth: int, code: int, times: int = 1) -> None:
    """The ``nth`` call of ``entry`` (``"*"``: of anything) from now on answers ``code``, and so many in all."""
    _library.standin_fail(entry.encode(), ctypes.c_long(nth), ctypes.c_long(times), code)


def reset() -> None:
    """Forgets the counters and the error."""
    _library.standin_reset()


def schedule(name: str, seed: int = 1) -> None:
    """``lazy``, ``others``, ``random`` or ``eager``: see driver/queue.cpp."""
    _library.standin_schedule(name.encode(), seed)


def sweep() -> None:
    """Ends everything that is left, as the end of the process would."""
    _library.standin_sweep()
