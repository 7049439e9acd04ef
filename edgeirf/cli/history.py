"""``edgeirf history``: what the audit of a line says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgeirf.cli.console import echo, engine_progress
from edgeirf.errors import EdgeirfError, UsageError

if TYPE_CHECKING:
    from edgeirf.runtime.audit.history import History, Query
    from edgeirf.runtime.audit.reinspect import Compared
    from edgeirf.runtime.audit.row import AuditRow

NAME = "history"


def main(
    audit: Path = typer.Argument(..., metavar="AUDIT.db", help="The audit that a run wrote."),
    since: str = typer.Option(None, metavar="TIME", help="Rows from this time (UTC) on: 2026-01-31T12:00."),
    until: str = typer.Option(None, metavar="TIME", help="Rows before this time."),
    part: str = typer.Option(None, metavar="ID", help="Rows of this part."),
    rejects: bool = typer.Option(False, "--rejects", help="Rejects only."),
    last: int = typer.Option(20, metavar="N", min=0, help="Print this many of the newest rows; files get all."),
    csv: Path = typer.Option(None, "--csv", metavar="FILE", help="Write all of these rows as CSV."),
    parquet: Path = typer.Option(None, "--parquet", metavar="FILE", help="Write them as Parquet; needs pyarrow."),
    verify: bool = typer.Option(False, "--verify", help="Check that no row was changed or removed."),
    head: str = typer.Option(None, metavar="HASH", help="With --verify: a head that you kept; a row must have it."),
    key: Path = typer.Option(None, "--key", metavar="FILE", help="With --verify: the key that signs the anchor."),
    reinspect: Path = typer.Option(None, metavar="FILE.irf", help="Inspect the pictures again with this bundle."),
    pictures: Path = typer.Option(None, metavar="DIR", help="With --reinspect: pictures that --save-rejects wrote."),
    device: str = typer.Option("auto", help="With --reinspect: auto, cpu, openvino, cuda, tensorrt."),
) -> None:
    """Show, export and verify the audit of a line, or inspect its pictures with another bundle."""
    from edgeirf.runtime.audit.history import History, Query, write_csv, write_parquet

    if (reinspect is None) != (pictures is None):
        raise UsageError("--reinspect FILE.irf and --pictures DIR belong together: give both")
    if not verify and (head is not None or key is not None):
        raise UsageError("--head and --key are for --verify: add --verify")
    history, query = History(audit), Query(moment(since), moment(until), part, rejects)
    for path, write in ((csv, write_csv), (parquet, write_parquet)):
        if path is not None:
            echo(f"wrote {write(path, history.rows(query))} rows to {path}")
    if reinspect is not None:
        _compare(history, query, reinspect, pictures, device)
    elif csv is None and parquet is None and not verify:
        _show(history, query, last)
    if verify:
        _verify(history, head, key)


def moment(text: str | None) -> float | None:
    """Seconds since 1970 of a date or a time; UTC where the text names no other zone.

    Raises:
        UsageError: it is neither.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise UsageError(f"{text!r} is no time: write 2026-01-31 or 2026-01-31T12:00") from None
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()


def _show(history: History, query: Query, last: int) -> None:
    for row in history.rows(query, last):
        echo(line(row))
    counts = history.counts(query)
    reasons = [f"{count} {reason}" for reason, count in counts.items() if reason not in ("parts", "rejects")]
    echo(f"{counts['parts']} parts, {counts['rejects']} rejects ({', '.join(reasons) or 'no part'})")


def line(row: AuditRow) -> str:
    """One row for people."""
    from edgeirf.runtime.audit.history import iso

    if row.kind != "part":
        bundle = f"bundle {(row.model_sha256 or '')[:12]}"
        what = {
            "start": f"edgeirf {row.software} {row.detail or ''}",
            "model": f"{row.view}: {row.precision} on {row.device}, {bundle} {row.engine}",
        }.get(row.kind, f"{row.operator} {row.detail}")
        return f"{iso(row.at)}  {row.kind:6}  {what}".rstrip()
    said = "REJECT" if row.reject else "pass"
    text = f"{iso(row.at)}  {said:6}  part {row.part_id}  {row.reason}"
    if row.score is not None and row.threshold is not None:
        text += f"  {row.view}: {row.score:.4g} / {row.threshold:.4g}"
    if row.p_value is not None:
        text += f", p = {row.p_value:.4f}"
    return f"{text}  {row.model or ''}  {row.detail or ''}".rstrip()


def _verify(history: History, head: str | None, key: Path | None) -> None:
    from edgeirf.runtime.audit.anchor import read_key

    found = history.verify(None if key is None else read_key(key), head)
    if found.problem is not None:
        raise EdgeirfError(f"{history.path} is not as it was written: {found.problem}")
    covered = f"the anchor covers {found.anchored} of them" if found.anchored else "no anchor covers them"
    text = f"{found.rows} rows, none changed or removed; {covered}; head {found.head}"
    if found.follows:
        there = (history.path.parent / found.follows).exists()
        text += f"; it follows {found.follows}, {'verify that too' if there else 'which is not here'}"
    echo(text)


def _compare(history: History, query: Query, bundle: Path, pictures: Path, device: str) -> None:
    from edgeirf.runtime.audit.reinspect import reinspect
    from edgeirf.runtime.detector import load

    with engine_progress() as progress:
        detector = load(bundle, device, progress=progress)
    with detector:
        echo(f"{detector.bundle.label}, rejects above {detector.threshold:.4g}")
        found = reinspect(history.rows(query), pictures, lambda frame: detector(frame).verdict)
        echo(_report(found))


def _report(found: Iterator[Compared | None]) -> str:
    """Prints each change; returns the sum."""
    inspected = lost = to_pass = to_reject = 0
    for each in found:
        lost += each is None
        if each is None:
            continue
        inspected += 1
        if each.changed:
            to_pass += each.was_reject
            to_reject += each.reject
            scores = " -> ".join("-" if s is None else f"{s:.4g}" for s in (each.was_score, each.score))
            echo(f"{'REJECT' if each.reject else 'pass':6}  part {each.part_id}  {each.view}: {scores}  {each.picture}")
    return (
        f"{inspected} pictures inspected: {to_pass} rejects would pass, {to_reject} passes would be rejected; "
        f"{lost} views have no picture"
    )
