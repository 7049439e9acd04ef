"""What a child inherits over fork and cannot use: the threads of a session stay in the parent."""

from __future__ import annotations

import ctypes
import os
import weakref

from edgeirf.errors import BackendError

_open: weakref.WeakSet[OneProcess] = weakref.WeakSet()


class OneProcess:
    """A network with native objects that work in the process that opened them, and there alone.

    In a forked child a call is one line, and nothing native is ever ended: that would wait for threads for ever.

    >>> class Session(OneProcess):
    ...     natives = ("session",)
    ...     session = None
    >>> Session().check_process()
    """

    natives: tuple[str, ...] = ()
    """Names of the attributes that hold native objects."""
    _process = 0

    def __init__(self) -> None:
        self._process = os.getpid()
        _open.add(self)

    def check_process(self) -> None:
        """Passes in the process that opened it.

        Raises:
            BackendError: this is a child of it.
        """
        if os.getpid() != self._process:
            raise BackendError("the model was loaded before this process was forked: load the model in the child")

    def close(self) -> None:
        """Lets the native objects go; in a child they stay as they are."""
        _open.discard(self)
        if os.getpid() == self._process:
            for name in self.natives:
                setattr(self, name, None)


def _leak_inherited() -> None:
    """In a forked child: none of the native objects is ever ended."""
    for network in list(_open):
        for name in network.natives:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(getattr(network, name, None)))


os.register_at_fork(after_in_child=_leak_inherited)
