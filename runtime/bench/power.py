"""Power while a benchmark runs, from the board's or the card's own meter where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PERIOD_MS = "100"
_COMMANDS = {
    "tegrastats": ["tegrastats", "--interval", _PERIOD_MS],
    "nvidia-smi": ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits", "-lms", _PERIOD_MS],
}
_RAILS = re.compile(r"(?:VDD_IN|POM_5V_IN|SYS5V0?|VIN_SYS_5V0) (\d+)(?:mW)?/")
"""The rail of the whole board, as each Jetson calls it in tegrastats, now/average in milliwatts."""


class PowerMeter:
    """Attributes: ``watts``: samples so far; ``source``: ``tegrastats``, ``nvidia-smi`` or None."""

    def __init__(self) -> None:
        self.watts: list[float] = []
        self.source: str | None = None

    def take(self, line: str) -> None:
        """Takes one line of the meter's output."""
        value = watts_of(line, self.source)
        if value is not None:
            self.watts.append(value)

    def joules_per_frame(self, seconds: float, frames: int) -> float | None:
        """Mean power times time, shared among the frames; None without at least three samples."""
        return sum(self.watts) / len(self.watts) * seconds / frames if len(self.watts) >= 3 and frames else None


def watts_of(line: str, source: str | None) -> float | None:
    """Watts in one line of ``tegrastats`` (whole board) or ``nvidia-smi`` (the card); None when it says nothing."""
    if source == "tegrastats":
        found = _RAILS.search(line)
        return int(found[1]) / 1000 if found else None
    try:
        return float(line.strip())
    except ValueError:  # "[N/A]" on cards without a meter
        return None


@contextmanager
def metered() -> Iterator[PowerMeter]:
    """Samples power ten times a second inside; gives no samples where there is no meter."""
    meter = PowerMeter()
    commands = {
        "tegrastats": ["tegrastats", "--interval", str(_PERIOD_MS)],
        "nvidia-smi": [
            "nvidia-smi",
            "--query-gpu=power.draw",
            "--format=csv,noheader,nounits",
            "-lms",
            str(_PERIOD_MS),
        ],
    }
    source = next((name for name in commands if shutil.which(name)), None)
    if source is None:
        yield meter
        return
    process = subprocess.Popen(  # noqa: S603
        _COMMANDS[source], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    meter.source = source

    def read() -> None:
        for line in process.stdout or ():
            meter.take(line)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield meter
    finally:
        process.terminate()
        process.wait()
        reader.join()
