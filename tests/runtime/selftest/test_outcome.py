"""One check ends as passed, failed or skipped, whatever it does."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from edgeirf.errors import BackendError
from edgeirf.runtime.selftest import Failed, Skip, run


def raises(error: Exception) -> Callable[[], dict[str, object]]:
    def check() -> dict[str, object]:
        raise error

    return check


@pytest.mark.parametrize(
    ("check", "status", "detail"),
    [
        (lambda: {"frames": 3, "ms": 1.5}, "passed", ""),
        (raises(Skip("there is no GPU")), "skipped", "there is no GPU"),
        (raises(Failed("scores differ", {"by": 0.1})), "failed", "scores differ"),
        (raises(BackendError("no\nmemory")), "failed", "no memory"),
        (raises(IndexError("odd")), "failed", "IndexError: odd"),
    ],
)
def test_outcomes(check: Callable[[], dict[str, object]], status: str, detail: str) -> None:
    done = run("a check", check)
    assert (done.status, done.detail) == (status, detail)
    assert "\n" not in done.line()
    assert done.line().startswith(status)
    json.dumps(done.to_json())


def test_figures_are_shown_and_kept() -> None:
    assert "frames 3, ms 1.5" in run("a check", lambda: {"frames": 3, "ms": 1.5}).line()
    assert run("a check", raises(Failed("x", {"by": 0.1}))).figures == {"by": 0.1}
