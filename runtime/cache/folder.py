"""Where this user's engines and compiled kernels are kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from edgeirf.errors import BackendError


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """``EDGEIRF_CACHE``, else ``edgeirf`` under ``XDG_CACHE_HOME`` or ``~/.cache``.

    Raises:
        BackendError: the user has no home folder.
    """
    if environment.get("EDGEIRF_CACHE"):
        return Path(environment["EDGEIRF_CACHE"]).expanduser().absolute()
    base = Path(environment.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():  # the XDG specification says to ignore a relative one
        return base / "edgeirf"
    try:
        return Path.home() / ".cache" / "edgeirf"
    except RuntimeError:
        raise BackendError("this user has no home folder to keep engines in: set EDGEIRF_CACHE") from None
