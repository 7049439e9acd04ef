"""``edgeirf init``: writes a commented ``line.toml``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgeirf.cli.console import echo
from edgeirf.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "init"


def main(
    path: Path = typer.Argument(Path("line.toml"), metavar="[LINE.toml]", help="The file to write."),
    model: str = typer.Option(None, "--model", "-m", metavar="FILE.irf", help="Bundle; default: the newest one here."),
    camera: list[str] = typer.Option(None, "--camera", "-c", metavar="SOURCE", help="As `edgeirf run`; once a view."),
    trigger: str = typer.Option(
        None, metavar="KIND", help="free (each frame is a part), http, mqtt, plc, gpio, camera, software."
    ),
    deadline_ms: float = typer.Option(None, min=1, help="Milliseconds from the trigger to the verdict."),
    output: list[str] = typer.Option(None, metavar="KIND", help="jsonl, mqtt, modbus, ...; once an output."),
    force: bool = typer.Option(False, "--force", help="Overwrite the file."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Ask nothing: options and defaults."),
) -> None:
    """Write the file that describes a line: `edgeirf run LINE.toml` runs it.

    What no option says is asked for, when this is a terminal.
    """
    from edgeirf.files import write_bytes
    from edgeirf.runtime.line.template import Answers, line_toml

    if path.exists() and not force:
        raise UsageError(f"{path} exists: name another file, or overwrite it with --force")
    ask = _asker(yes or not sys.stdin.isatty())
    cameras = camera or [ask("Camera (0, rtsp://..., a folder, test://)", "0")]
    trigger = trigger or ask("Trigger (free, http, mqtt, plc, gpio, camera, software)", "free")
    needed = trigger != "free" or len(cameras) > 1
    if deadline_ms is None and needed:
        deadline_ms = _number(ask("Deadline from trigger to verdict in ms", "500"))
    answers = Answers(
        model=model or ask("Bundle", _newest()),
        cameras=tuple(cameras),
        trigger=trigger,
        deadline_ms=deadline_ms,
        outputs=tuple(output or []),
    )
    write_bytes(path, line_toml(answers).encode())
    echo(f"{path} is written; edit it, then: edgeirf run {path} --check")


def _asker(quiet: bool) -> Callable[[str, str], str]:
    def ask(question: str, default: str) -> str:
        answer: Any = default if quiet else typer.prompt(question, default=default)
        return str(answer).strip()

    return ask


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{text!r} is no number of milliseconds") from None


def _newest() -> str:
    bundles = sorted(Path().glob("*.irf"), key=lambda bundle: bundle.stat().st_mtime)
    return str(bundles[-1]) if bundles else "bottle.irf"
