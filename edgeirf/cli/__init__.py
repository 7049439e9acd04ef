"""The command line: one file a command; heavy imports happen inside the commands."""

from __future__ import annotations

import contextlib
import os
import sys

import typer

from edgeirf import __version__
from edgeirf.cli import (
    bench,
    capi,
    demo,
    doctor,
    evaluate,
    export,
    history,
    info,
    init,
    predict,
    recalibrate,
    run,
    selftest,
    serve,
    train,
    tune,
)
from edgeirf.cli.console import echo
from edgeirf.ending import Ended, asked
from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.needs import need_runtime
from edgeirf.text import never_fail, printable

app = typer.Typer(
    help="A folder of good parts becomes a verdict on the line.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Boxes are for a terminal: a pipe gets lines of 80 columns without spaces at their ends.
    rich_markup_mode="rich" if sys.stdout is not None and sys.stdout.isatty() else None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = (
    train,
    export,
    tune,
    recalibrate,
    init,
    run,
    predict,
    evaluate,
    history,
    info,
    bench,
    doctor,
    selftest,
    demo,
    capi,
    serve,
)
for command in COMMANDS:
    app.command(command.NAME)(command.main)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"edgeirf {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    if context.invoked_subcommand not in (None, doctor.NAME):  # doctor looks at libraries that do not start
        need_runtime()


def main() -> None:
    """Entry point: exit codes 0 ok, 1 the work failed, 2 wrong use, 130 Ctrl-C; one line for every error."""
    # OpenCV and FFmpeg say in many lines what edgeirf says in one. Read when OpenCV is imported.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    for name in ("stdout", "stderr"):  # a launcher may give none; sinks see by the name that nobody reads
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        never_fail(stream)
    try:
        app()
    except EdgeirfError as error:
        _fail(str(error), 2 if isinstance(error, UsageError) else 1, error)
    except Ended as ended:
        _fail("interrupted", ended.code, None)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MemoryError as error:
        _fail("there is not enough memory: use smaller frames or close other programs", 1, error)
    except OSError as error:  # of this machine, not of the program: a full disk behind standard output
        place = "standard output" if error.filename is None else printable(error.filename)
        _fail(f"{place}: {error.strerror or error}", 1, error)
    except Exception as error:
        _fail(f"internal error: {type(error).__name__}: {error} (EDGEIRF_DEBUG=1 shows where)", 1, error)


def _fail(message: str, code: int, error: Exception | None) -> None:
    if asked:
        message, code, error = "interrupted", 128 + asked[-1], None
    if error is not None and os.environ.get("EDGEIRF_DEBUG"):
        raise error
    with contextlib.suppress(OSError, ValueError):  # nobody may be there to read it
        echo(f"edgeirf: {' '.join(message.split())}", err=True)
    sys.exit(code)
