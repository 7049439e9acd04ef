"""Errors a user can meet. Each message is one line: what is wrong and what to do."""

from __future__ import annotations


class EdgeirfError(Exception):
    """Base of every error that edgeirf raises on purpose; the command line prints it and exits with 1."""


class UsageError(EdgeirfError):
    """The call itself is wrong (an unknown preset, a rate outside 0..1); the command line exits with 2."""


class BundleError(EdgeirfError):
    """An ``.irf`` bundle is damaged, foreign, or of a schema this version does not know."""


class FrameError(EdgeirfError):
    """A frame cannot be inspected: unreadable, empty, or of a shape or type the model does not take."""


class SourceError(EdgeirfError):
    """A camera, video or folder cannot be opened, or broke while it was being read."""


class BackendError(EdgeirfError):
    """The library or device that runs the network is missing or failed."""
