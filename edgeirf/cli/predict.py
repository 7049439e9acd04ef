"""``edgeirf predict``: verdicts on pictures as a table, and the heat map of each."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgeirf.cli.console import echo, engine_progress, say
from edgeirf.cli.run import newest_bundle, parse_resolution
from edgeirf.errors import EdgeirfError, FrameError, UsageError
from edgeirf.files import check_writable, write_bytes, write_text
from edgeirf.text import printable

if TYPE_CHECKING:
    from edgeirf.runtime.detector import Detector
    from edgeirf.verdict import Verdict

NAME = "predict"


def main(
    pictures: list[Path] = typer.Argument(..., metavar="PICTURE...", help="Pictures, or folders of them."),
    model: Path = typer.Option(None, "--model", "-m", metavar="FILE.irf", help="Bundle; default: the newest one here."),
    output: Path = typer.Option(None, "--output", "-o", metavar="DIR", help="New folder for the heat map of each."),
    json_file: Path = typer.Option(None, "--json", metavar="FILE", help="Write all verdicts as JSON."),
    threshold: float = typer.Option(None, help="Reject scores above this, in place of the bundle's threshold."),
    false_reject_rate: float = typer.Option(None, help="Another rate than the one chosen at export."),
    product: str = typer.Option(None, help="Product of a unified bundle."),
    precision: str = typer.Option(None, help="fp32, fp16, int8; default: the fastest that passed its gate."),
    other_resolution: str = typer.Option(
        None, metavar="WIDTHxHEIGHT", help="The camera sees the view of the training pictures in other pixels."
    ),
    device: str = typer.Option("auto", help="auto, cpu, openvino, cuda, tensorrt."),
    fail_on_reject: bool = typer.Option(False, "--fail-on-reject", help="Exit with 1 when a part was rejected."),
) -> None:
    """Inspect pictures: one line each, and a heat map of each with --output.

    Exit code 1 says that a picture could not be inspected, or was passed over in a folder.
    """
    from edgeirf.runtime.detector import load

    paths, passed_over = find_pictures(pictures)
    _check_outputs(output, json_file)
    verdicts: list[Verdict] = []
    with ExitStack() as stack:
        with engine_progress() as progress:
            detector = load(
                model or newest_bundle(Path()),
                device,
                precision=precision,
                product=product,
                false_reject_rate=false_reject_rate,
                progress=progress,
                threshold=threshold,
                resolution=parse_resolution(other_resolution),
            )
        stack.enter_context(detector)
        echo(f"{detector.bundle.label}, rejects above {detector.threshold:.4g}")
        echo(f"{'verdict':7}  {'score':>10}  {'p-value':>7}  {'regions':>7}  {'scale':8}  picture")
        for index, path in enumerate(paths):
            verdicts.append(inspect(detector, path, index, output))
            echo(row(verdicts[-1], path))
    if json_file is not None:
        write_text(json_file, json.dumps([verdict.to_json() for verdict in verdicts], indent=1) + "\n")
    _finish(verdicts, passed_over, fail_on_reject)


def find_pictures(given: list[Path]) -> tuple[list[Path], int]:
    """Files as they are, folders as the pictures in them; and how many pictures and videos were passed over.

    Raises:
        UsageError: one is not there, or a folder holds none.
    """
    from edgeirf.runtime.imaging import folder

    paths: list[Path] = []
    passed_over = 0
    for path in given:
        if not path.exists():
            raise UsageError(f"{path} is not there")
        if not path.is_dir():
            paths.append(path)
            continue
        found = folder.find_pictures(path)
        if not found.pictures:
            raise UsageError(f"{printable(path)} holds no pictures" + (f" ({found.remark})" if found.remark else ""))
        if found.remark:
            say(found.remark)
        paths += found.pictures
        passed_over += len(found.passed_over)
    return paths, passed_over


def inspect(detector: Detector, path: Path, index: int, output: Path | None) -> Verdict:
    """The verdict on one picture; its heat map goes to ``output``. One that cannot be read is a reject."""
    import cv2

    from edgeirf.runtime.imaging.images import read_image

    try:
        image = read_image(path)
        inspection = detector(image, frame_id=index, source=str(path))
    except FrameError as error:
        return detector.failed(str(error), frame_id=index, source=str(path)).verdict
    if output is not None:
        _, data = cv2.imencode(".jpg", inspection.overlay(image), [cv2.IMWRITE_JPEG_QUALITY, 92])
        write_bytes(output / f"{index:04}_{printable(path.stem)[:80]}.jpg", data.tobytes())
    return inspection.verdict


def row(verdict: Verdict, path: Path) -> str:
    """One line of the table."""
    said = "REJECT" if verdict.reject else "pass"
    if verdict.score is None or verdict.p_value is None:
        return f"{said:7}  {'-':>10}  {'-':>7}  {'-':>7}  {'-':8}  {path}: {verdict.error}"
    where = f"{len(verdict.regions):7}  {verdict.scale or '-':8}"
    return f"{said:7}  {verdict.score:10.4g}  {verdict.p_value:7.4f}  {where}  {path}"


def _check_outputs(output: Path | None, json_file: Path | None) -> None:
    """Before the work."""
    if output is not None:
        if output.is_dir() and any(output.iterdir()):
            raise UsageError(f"{output} is not empty: name a new folder with --output")
        check_writable(output / "x")
    if json_file is not None:
        check_writable(json_file)


def _finish(verdicts: list[Verdict], passed_over: int, fail_on_reject: bool) -> None:
    rejects, errors = sum(v.reject for v in verdicts), sum(v.status != "ok" for v in verdicts)
    echo(f"{len(verdicts)} pictures, {rejects} rejects")
    if errors:
        raise EdgeirfError(f"{errors} of {len(verdicts)} pictures could not be inspected and count as rejects")
    if passed_over:
        raise EdgeirfError(f"{passed_over} pictures and videos were passed over: name them to inspect them")
    if fail_on_reject and rejects:
        raise typer.Exit(1)
