"""Where engines and kernels are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeirf.errors import BackendError
from edgeirf.runtime.cache.folder import cache_folder


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"EDGEIRF_CACHE": "/data/engines", "XDG_CACHE_HOME": "/x"}, "/data/engines"),
        ({"EDGEIRF_CACHE": "~/engines"}, "/home/line/engines"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/edgeirf"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/line/.cache/edgeirf"),
        ({}, "/home/line/.cache/edgeirf"),
    ],
)
def test_where_engines_are_kept(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], folder: str) -> None:
    for name in ("EDGEIRF_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/line", **environment}.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("EDGEIRF_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(BackendError, match=r"no home folder .*: set EDGEIRF_CACHE"):
        cache_folder()
