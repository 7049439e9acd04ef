"""``edgeirf serve``: inspects the frames of other processes on this machine."""

from __future__ import annotations

from pathlib import Path

import typer

from edgeirf.cli.console import echo, engine_progress, stop_on_signal
from edgeirf.errors import UsageError

NAME = "serve"


def main(
    model: Path = typer.Argument(..., metavar="BUNDLE", help="The .irf file."),
    shm: Path = typer.Option(None, "--shm", metavar="SOCKET", help="Unix socket; frames come in shared memory."),
    device: str = typer.Option("auto", help="auto, cpu, openvino, cuda, tensorrt."),
    precision: str = typer.Option(None, help="fp32, fp16, int8; default: the fastest that passed its gate."),
    product: str = typer.Option(None, help="Product of a unified bundle."),
    false_reject_rate: float = typer.Option(None, help="False-reject rate; default: the one chosen at export."),
    threads: int = typer.Option(None, min=1, max=256, help="CPU threads; default: all cores, at most 8."),
) -> None:
    """Inspect frames that other programs of this user send: C, C++ and C# by edgeirf_connect() of the C library.

    SIGTERM or Ctrl-C ends the server after the frame that it inspects. When the server is lost, its clients reject
    every part until it is back.
    """
    from edgeirf.runtime.detector import load
    from edgeirf.runtime.serve.server import ShmServer

    if shm is None:
        raise UsageError("name the socket to listen on: edgeirf serve BUNDLE --shm SOCKET")
    with engine_progress() as progress:
        detector = load(
            model,
            device,
            precision=precision,
            product=product,
            false_reject_rate=false_reject_rate,
            threads=threads,
            progress=progress,
        )
    with detector:
        server = ShmServer(detector, shm)
        what = f"{detector.bundle.label}, {detector.model_key} on {detector.executor.name}"
        with stop_on_signal(server.stop):
            server.run(lambda: echo(f"{what}: listens on {shm}"))
