"""Errors a user can meet. Each message is one line: what is wrong and what to do."""

from __future__ import annotations


class EdgeirfError(Exception):
    """Base of every error that edgeirf raises on purpose; the command line prints it and exits with 1.

    >>> try:
    ...     edgeirf.load("missing.irf")
    ... except EdgeirfError as error:
    ...     print(error)
    cannot read missing.irf: No such file or directory
    """


class UsageError(EdgeirfError):
    """The call itself is wrong (an unknown preset, a rate outside 0..1); the command line exits with 2.

    >>> edgeirf.load("bottle.irf", device="tpu")
    Traceback (most recent call last):
    edgeirf.errors.UsageError: ...
    """


class BundleError(EdgeirfError):
    """An ``.irf`` bundle is damaged, foreign, or of a schema this version does not know.

    >>> edgeirf.Bundle.read("missing.irf")
    Traceback (most recent call last):
    edgeirf.errors.BundleError: cannot read missing.irf: No such file or directory
    """


class FrameError(EdgeirfError):
    """A frame cannot be inspected: unreadable, empty, or of a shape or type the model does not take.

    >>> edgeirf.load("bottle.irf", device="cpu")(np.zeros((64, 64, 7), np.uint8))
    Traceback (most recent call last):
    edgeirf.errors.FrameError: ...
    """


class SourceError(EdgeirfError):
    """A camera, video or folder cannot be opened, or broke while it was being read.

    >>> from edgeirf.runtime.sources.opening import open_source
    >>> open_source("missing.mp4")
    Traceback (most recent call last):
    edgeirf.errors.SourceError: ...
    """


class BackendError(EdgeirfError):
    """The library or device that runs the network is missing or failed.

    >>> raise BackendError("TensorRT is not installed: pip install 'edgeirf[tensorrt]'")
    Traceback (most recent call last):
    edgeirf.errors.BackendError: TensorRT is not installed: pip install 'edgeirf[tensorrt]'
    """


class OutputError(EdgeirfError):
    """A signal, PLC, broker or disk did not take what the line has to say.

    >>> raise OutputError("plc: 192.168.1.5:502 does not answer: check cable, address and port")
    Traceback (most recent call last):
    edgeirf.errors.OutputError: plc: 192.168.1.5:502 does not answer: check cable, address and port
    """


class ConfigError(UsageError):
    """The configuration of a line is wrong; the message names file, line and key. The command line exits with 2.

    >>> raise ConfigError("line.toml:3: deadline_ms: 0 is not above 0")
    Traceback (most recent call last):
    edgeirf.errors.ConfigError: line.toml:3: deadline_ms: 0 is not above 0
    """
