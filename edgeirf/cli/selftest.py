"""``edgeirf selftest``: checks edgeirf on this machine's GPU."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from edgeirf.bundle import Bundle
from edgeirf.cli.bench import parse_size
from edgeirf.errors import EdgeirfError
from edgeirf.files import check_writable, write_text

NAME = "selftest"


def main(
    path: Path = typer.Argument(..., metavar="BUNDLE", help="The .irf file."),
    output: Path = typer.Option(Path("device.json"), metavar="FILE", help="Report to write, to send back."),
    frames: int = typer.Option(100_000, min=1, help="Frames of the leak check."),
    size: str = typer.Option("1280x1024", metavar="WIDTHxHEIGHT", help="Pixels of the camera."),
) -> None:
    """Check kernels, engines, parity with the CPU, latency and leaks on this GPU, and write a report.

    What cannot run here is skipped with the reason. Exit code 1 says that a check failed.
    """
    from edgeirf.runtime import selftest

    bundle = Bundle.read(path)
    check_writable(output)
    outcomes = []
    for name, check in selftest.checks(bundle, parse_size(size), frames):
        outcomes.append(selftest.run(name, check))
        typer.echo(outcomes[-1].line())
        # At once: a driver may end the process in the next check, and then this report says where.
        write_text(output, json.dumps(selftest.to_json(bundle, outcomes), indent=1, default=str) + "\n")
    counts = {status: sum(one.status == status for one in outcomes) for status in ("passed", "failed", "skipped")}
    typer.echo(f"{', '.join(f'{count} {status}' for status, count in counts.items())}; wrote {output}")
    skipped = [one.detail for one in outcomes if one.status == "skipped"]
    if skipped and len(skipped) == len(outcomes) - 1:  # all but the description of the machine
        typer.echo(f"nothing ran on a GPU ({skipped[0]}): `edgeirf doctor` says what is missing")
    if counts["failed"]:
        raise EdgeirfError(f"{counts['failed']} of {len(outcomes)} checks failed: see {output}")
