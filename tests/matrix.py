"""Runs the command line with the lowest declared and with the newest dependencies: ``make test-matrix``."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

CLONE = Path(__file__).parents[1]
BUNDLE = CLONE / "tests" / "data" / "schema1.irf"
CHECKS: list[tuple[list[str], int]] = [
    (["--version"], 0),
    (["--help"], 0),
    (["run", "--help"], 0),
    (["doctor", "--json"], 0),
    (["info"], 2),
    (["info", "nothing.irf"], 1),
    (["info", str(BUNDLE)], 0),
    (["run", "--model", str(BUNDLE), "--camera", "test://?count=3&size=256", "--jsonl", "-"], 0),
]


def floors() -> list[str]:
    """The declared lowest versions, as pins."""
    text = re.search(r"^dependencies = \[(.*)\]", (CLONE / "pyproject.toml").read_text(), re.MULTILINE)
    assert text is not None
    return [pin.replace(">=", "==") for pin in re.findall(r'"([^"]+)"', text[1])]


def check(pins: list[str], folder: Path) -> list[str]:
    """Installs a copy without any editable link, and gives what went wrong."""
    venv.create(folder, with_pip=True)
    install = [folder / "bin" / "pip", "install", "--quiet", *pins, str(CLONE)]
    if subprocess.run(install, check=False).returncode:
        return ["pip cannot install them together"]
    wrong = []
    for arguments, code in CHECKS:
        if str(BUNDLE) in arguments and not BUNDLE.exists():
            continue
        command = [str(folder / "bin" / "edgeirf"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, timeout=300)
        lines = done.stdout.count('"reject"') if arguments[0] == "run" and code == 0 and "--jsonl" in arguments else 3
        if done.returncode != code or "Traceback" in done.stderr or "internal error" in done.stderr or lines != 3:
            wrong.append(f"edgeirf {' '.join(arguments)}: exit {done.returncode}, {done.stderr.strip()[-200:]}")
    return wrong


def main() -> int:
    """0 when both sets work."""
    failed = 0
    for name, pins in (("lowest", floors()), ("newest", [])):
        with tempfile.TemporaryDirectory() as folder:
            wrong = check(pins, Path(folder) / "venv")
        print(f"{name} ({', '.join(pins) or 'no pins'}): {'ok' if not wrong else ''}")
        for line in wrong:
            print(f"  {line}")
        failed += bool(wrong)
    return failed


if __name__ == "__main__":
    sys.exit(main())
