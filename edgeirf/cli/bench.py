"""``edgeirf bench``: measures a bundle on this machine, and computes bounds for other GPUs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import typer

from edgeirf.bundle import Bundle
from edgeirf.cli.console import console, engine_progress
from edgeirf.errors import BackendError, UsageError
from edgeirf.files import check_writable, write_text

NAME = "bench"


def main(
    path: Path = typer.Argument(..., metavar="BUNDLE", help="The .irf file."),
    device: str = typer.Option(None, help="Only cpu, openvino, cuda or tensorrt; default: all that work here."),
    precision: str = typer.Option(None, help="Only fp32, fp16 or int8; default: all."),
    camera: str = typer.Option(
        None, metavar="SOURCE", help="Frames of a camera, as in run; default: those of the bundle."
    ),
    size: str = typer.Option(None, metavar="WIDTHxHEIGHT", help="Pixels of the camera; default: those of the model."),
    pixel_format: str = typer.Option(None, metavar="FORMAT", help="Pixel format of the camera: bayer_rggb8, nv12, ..."),
    frames: int = typer.Option(500, min=1, help="Frames of the steady run: without a pause between them."),
    seconds: float = typer.Option(20.0, min=0.1, help="Longest time of the steady run."),
    triggered: int = typer.Option(50, min=0, help="Frames of the triggered run: one per trigger."),
    interval_ms: float = typer.Option(200.0, min=1.0, help="Trigger period in ms."),
    deadline_ms: float = typer.Option(100.0, min=0.001, help="Deadline in ms; a later verdict counts as late."),
    threads: int = typer.Option(None, min=1, max=256, help="CPU threads; default: all cores, at most 8."),
    jitter: float = typer.Option(
        None, min=0.01, max=600, metavar="SECONDS", help="Measure only how late a waiting process wakes, in s."
    ),
    json_file: Path = typer.Option(None, "--json", metavar="FILE", help="Write all figures as JSON."),
    plot: Path = typer.Option(None, metavar="FILE.svg", help="Write a picture of the latencies."),
    roofline: str = typer.Option(None, metavar="GPU", help="Compute the bound of a GPU, or of all; measure nothing."),
) -> None:
    """Measure latency by stage, throughput, memory and energy, on every device of this machine, in every precision.

    Exit code 1: a device that was found did not run.
    """
    for written in filter(None, (json_file, plot)):
        check_writable(written)
    bundle = Bundle.read(path)
    if roofline is not None:
        return show_roofline(bundle, roofline, json_file)
    if jitter is not None:
        return show_jitter(jitter, json_file)
    from edgeirf.runtime.bench import Workload, find_targets, measure, report
    from edgeirf.runtime.bench import plot as drawing
    from edgeirf.runtime.bench.frames import camera_frames, golden_frames
    from edgeirf.runtime.imaging.pixel_format import check_name, frame_size, from_bgr

    raw = check_name(pixel_format) if pixel_format is not None else None
    capture_ms: list[float] = []
    if camera is None:
        golden = golden_frames(bundle, parse_size(size) if size is not None else None)
        images: list[Any] = [from_bgr(image, raw or "bgr8") for image in golden]
    else:
        images, capture_ms = camera_frames(camera, frames, pixel_format=raw)
    work = Workload(images, frames, seconds, triggered, interval_ms / 1e3, deadline_ms, threads, capture_ms, raw)
    measured = []
    for target in find_targets(bundle, device, precision):
        console.print(f"measuring {target.backend} {target.model} ...", style="dim")
        with engine_progress() as progress:
            measured.append(measure(bundle, target, work, progress))
    height, width = frame_size(images[0], raw)
    typer.echo(f"{bundle.label}, {width}x{height} pixels, deadline {deadline_ms:g} ms")
    typer.echo(f"on {report.machine()['processor']}")
    for line in report.lines(work, measured):
        typer.echo(line)
    if json_file is not None:
        write_text(json_file, json.dumps(report.to_json(bundle, work, measured), indent=1) + "\n")
    if plot is not None:
        write_text(plot, drawing.svg(f"{bundle.label}, {width}x{height} pixels", measured, deadline_ms))
    failed = [one for one in measured if one.error is not None]
    if failed:
        raise BackendError(f"{len(failed)} of {len(measured)} did not run")
    return None


def show_jitter(seconds: float, json_file: Path | None) -> None:
    """Prints the lateness of wake-ups as the process is, and in real time, as far as the rights go."""
    from edgeirf.runtime.bench.jitter import measure_jitter
    from edgeirf.runtime.line.realtime import RealtimeSettings, enter_realtime

    plain = measure_jitter(seconds)
    typer.echo(plain.line("as it is"))
    for line in enter_realtime(RealtimeSettings()):
        typer.echo(line)
    realtime = measure_jitter(seconds)
    typer.echo(realtime.line("in real time"))
    if json_file is not None:
        result = {"jitter": {"plain": dataclasses.asdict(plain), "realtime": dataclasses.asdict(realtime)}}
        write_text(json_file, json.dumps(result, indent=1) + "\n")


def show_roofline(bundle: Bundle, name: str, json_file: Path | None) -> None:
    """Prints the bound of the FP32 graph's arithmetic on GPUs that need not be here."""
    from edgeirf.runtime.bench import flops, roofline

    gpus, settings = roofline.choose(name), bundle.manifest.preprocess
    shape = (settings.tiles[0] * settings.tiles[1], 3, *settings.size)
    cost = flops.count(bundle.member(bundle.manifest.models["fp32"].file), shape)
    for line in roofline.lines(bundle.label, cost, gpus):
        typer.echo(line)
    if json_file is not None:
        result: dict[str, Any] = {"bundle": bundle.label, "roofline": roofline.to_json(cost, gpus)}
        write_text(json_file, json.dumps(result, indent=1) + "\n")


def parse_size(text: str) -> tuple[int, int]:
    """``1280x1024`` (width, height) as ``(height, width)``.

    Raises:
        UsageError: it is not two whole numbers.
    """
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise UsageError(f"a size is WIDTHxHEIGHT in pixels, for example 1280x1024, not {text!r}")
    return int(height), int(width)
