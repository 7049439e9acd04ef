"""The stack that this thread's signal handlers run on, kept as it is."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """``stack_t`` of Linux."""

    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """Puts the signal stack back after a library that sets one of its own.

    OpenVINO's CPU plugin sets one and frees it with its core: a signal that comes later, Ctrl-C or SIGTERM, ends the
    process with a segmentation fault. Linux only; elsewhere nothing is done.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    before, libc = _Stack(), ctypes.CDLL(None)
    known = libc.sigaltstack(None, ctypes.byref(before)) == 0
    try:
        yield
    finally:
        if known:
            libc.sigaltstack(ctypes.byref(before), None)
