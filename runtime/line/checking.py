"""``edgeirf run line.toml --check``: everything is opened once, nothing is inspected or switched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from edgeirf.errors import EdgeirfError, SourceError
from edgeirf.runtime.line.cameras import open_camera
from edgeirf.runtime.line.config import CameraSettings, LineConfig, OutputEntry
from edgeirf.runtime.line.opening import load_detector, open_output
from edgeirf.runtime.line.triggering import open_trigger
from edgeirf.runtime.triggers.camera import CameraTriggerSettings


def check_plan(config: LineConfig) -> Iterator[tuple[str, str | None]]:
    """Tries each thing that the file names.

    Yields:
        its name, and why it does not work; None where it works.
    """
    for camera in config.cameras:
        yield f"camera {camera.name}", _tried(partial(_camera, config, camera))
        yield f"bundle of {camera.name}", _tried(partial(_detector, config, camera))
    for entry in config.outputs:
        yield f"output {entry.name}", _tried(partial(_output, entry))
    yield "trigger", _tried(partial(_trigger, config))
    for name in ("audit", "rejects", "drift_folder"):
        path = getattr(config.records, name)
        if path is not None:
            yield name, _tried(partial(_place, path))


def _tried(call: Callable[[], None]) -> str | None:
    try:
        call()
        return None
    except EdgeirfError as error:
        return " ".join(str(error).split())
    except Exception as error:  # a library that raises what it likes is what a check is for
        return " ".join(f"{type(error).__name__}: {error}".split())


def _camera(config: LineConfig, camera: CameraSettings) -> None:
    """One frame is read; a camera that waits for its trigger gives none now."""
    source = open_camera(config, camera)
    try:
        read = source.read(camera.timeout_s)
        waits = getattr(source, "awaits_trigger", False) or isinstance(config.trigger, CameraTriggerSettings)
        if read.state == "timeout" and waits:
            return
        if read.frame is None or read.frame.error is not None:
            why = read.detail if read.frame is None else read.frame.error
            raise SourceError(why or f"it opens and gives no frame within {camera.timeout_s:g} s")
    finally:
        source.stop()
        source.close()


def _detector(config: LineConfig, camera: CameraSettings) -> None:
    load_detector(config, camera).close()


def _output(entry: OutputEntry) -> None:
    """The peer itself is asked, also where a spool would wait for it: nothing that waits is sent."""
    spool = getattr(entry.settings, "spool", "")
    if spool:
        _place(Path(spool))
        entry = replace(entry, settings=replace(entry.settings, spool=""))
    output = open_output(entry)
    try:
        output.open()
    finally:
        for call in (output.safe, output.close):
            with suppress(Exception):
                call()


def _trigger(config: LineConfig) -> None:
    trigger = open_trigger(config, [open_output(entry) for entry in config.outputs])
    if trigger is not None:
        try:
            trigger.start(lambda part_id, at: False)
        finally:
            trigger.stop()


def _place(path: Path) -> None:
    """The nearest folder that exists can be written to; nothing is created."""
    folder = path if path.is_dir() else path.parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise EdgeirfError(f"cannot write to {folder}: it is no folder, or its rights forbid it")
