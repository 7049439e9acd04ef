"""``edgeirf doctor``: what this machine has, what is missing, and the command that installs it."""

from __future__ import annotations

import json
import shutil
import textwrap
from typing import TYPE_CHECKING

import typer

from edgeirf import __version__

if TYPE_CHECKING:
    from edgeirf.runtime.doctor import Examination, Finding

NAME = "doctor"
MARKS = {"ok": "ok", "note": "-", "warn": "warn", "fail": "FAIL"}
COLORS = {"ok": typer.colors.GREEN, "note": None, "warn": typer.colors.YELLOW, "fail": typer.colors.RED}


def main(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Examine this machine: libraries, GPU, Jetson, cache, cameras."""
    from edgeirf.runtime.doctor import examine

    examination = examine()
    if as_json:
        typer.echo(json.dumps({"edgeirf": __version__, **examination.to_json()}, indent=1))
    else:
        typer.echo("\n".join(render(examination, shutil.get_terminal_size().columns)))
    raise typer.Exit(0 if examination.healthy else 1)


def render(examination: Examination, columns: int) -> list[str]:
    """The report as lines no wider than ``columns`` (60 at least), commands apart: those stay whole, to be copied."""
    columns = max(columns, 60)
    findings = [finding for group in examination.groups.values() for finding in group]
    width = max(len(finding.name) for finding in findings)
    lines = [f"edgeirf {__version__}"]
    for title, group in examination.groups.items():
        lines += ["", typer.style(title, bold=True)]
        for finding in group:
            lines += _finding(finding, width, columns)
    return [*lines, "", *_outcome(examination, columns), *_fixes(findings)]


def _finding(finding: Finding, width: int, columns: int) -> list[str]:
    margin = 2 + 4 + 2 + width + 2
    first, *rest = textwrap.wrap(finding.detail, max(20, columns - margin)) or [""]
    mark = typer.style(f"{MARKS[finding.status]:4}", fg=COLORS[finding.status])
    return [f"  {mark}  {finding.name:{width}}  {first}", *(" " * margin + line for line in rest)]


def _outcome(examination: Examination, columns: int) -> list[str]:
    if not examination.healthy:
        text = "edgeirf cannot work on this machine yet."
    elif examination.device == "tensorrt":
        text = f"--device auto runs {examination.reason}."
    else:
        text = f"--device auto runs ONNX Runtime on the CPU, because {examination.reason}."
    return textwrap.wrap(text, max(40, columns))


def _fixes(findings: list[Finding]) -> list[str]:
    """Each command once, what fails first."""
    needed = sorted((f for f in findings if f.fix and f.status in ("warn", "fail")), key=lambda f: f.status)
    if not needed:
        return []
    by_command: dict[str, list[str]] = {}
    for finding in needed:
        by_command.setdefault(str(finding.fix), []).append(finding.name)
    lines = ["", typer.style("To fix", bold=True)]
    for command, names in by_command.items():
        lines += [f"  {', '.join(names)}:", f"    {command}"]
    return lines
