from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from edgeirf.cli import main


class Ran(NamedTuple):
    """Exit code and output of one command."""

    code: int
    out: str
    err: str


@pytest.fixture
def edgeirf_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """``edgeirf_command("info", path)`` runs the command line in this process; no traceback may appear."""

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["edgeirf", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Ran(int(caught.value.code or 0), out, err)

    return run
