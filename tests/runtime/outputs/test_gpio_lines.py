"""Lines of a chip, with a stand-in for the library."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from edgeirf.errors import OutputError
from edgeirf.runtime.outputs.gpio_lines import ChipLines


class Request:
    def __init__(self, config: dict[int, Any]) -> None:
        self.config, self.values, self.sequences, self.released = config, {}, list[list[int]](), False

    def set_value(self, line: int, value: str) -> None:
        self.values[line] = value

    def wait_edge_events(self, timeout: Any) -> bool:
        return bool(self.sequences)

    def read_edge_events(self) -> list[Any]:
        return [SimpleNamespace(line_seqno=number) for number in self.sequences.pop(0)]

    def release(self) -> None:
        self.released = True


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """gpiod without a chip; the names are those of gpiod 2, which the test of a missing chip uses."""
    found: list[Request] = []

    def request_lines(chip: str, consumer: str, config: dict[int, Any], event_buffer_size: int) -> Request:
        found.append(Request(config))
        return found[-1]

    names = {
        "Direction": SimpleNamespace(INPUT="in", OUTPUT="out"),
        "Value": SimpleNamespace(ACTIVE="active", INACTIVE="inactive"),
        "Edge": SimpleNamespace(RISING="rising"),
        "Clock": SimpleNamespace(MONOTONIC="monotonic"),
    }
    library = SimpleNamespace(request_lines=request_lines, LineSettings=lambda **settings: settings)
    monkeypatch.setitem(sys.modules, "gpiod", library)
    monkeypatch.setitem(sys.modules, "gpiod.line", SimpleNamespace(**names))
    return found


def test_the_line_is_inactive_until_it_is_set(requests: list[Request]) -> None:
    lines = ChipLines("/dev/gpiochip0", 17, None, active_low=True)
    assert requests[0].config == {17: {"direction": "out", "active_low": True, "output_value": "inactive"}}
    lines.set(True)
    assert requests[0].values == {17: "active"}
    lines.set(False)
    assert requests[0].values == {17: "inactive"}
    lines.close()
    assert requests[0].released


def test_steps_are_counted_by_the_kernels_number_also_where_its_buffer_was_full(requests: list[Request]) -> None:
    lines = ChipLines("/dev/gpiochip0", 17, 4, active_low=False)
    assert requests[0].config[4]["edge_detection"] == "rising"
    assert lines.steps(0.01) == 0
    requests[0].sequences += [[1, 2, 3], [900, 901]]
    assert [lines.steps(0.01), lines.steps(0.01), lines.steps(0.01)] == [3, 898, 0]


def test_a_chip_that_is_not_there_is_one_line() -> None:
    pytest.importorskip("gpiod", reason="pip install 'edgeirf[gpio]'")
    with pytest.raises(OutputError, match=r"line 17 of /dev/no-chip: .*check chip, line") as error:
        ChipLines("/dev/no-chip", 17, 4, active_low=False)
    assert "\n" not in str(error.value)
