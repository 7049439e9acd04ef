"""One table over all sets, methods, precisions and executors: edgeirf's methods and its peers on the same backbone.

    python benchmarks/compare.py [--data ../shared/data] [--output comparison] [--seeds 0,1,2] [--quick]

For each set and seed: ``edgeirf train``, ``edgeirf export`` (irf, invad) and ``benchmarks.baselines`` (padim,
patchcore) with default settings, then ``edgeirf eval`` in every precision on every executor, clean and perturbed, and
the time of the graphs alone, turn by turn in one process. ELPV joins in where ``elpv-dataset`` is installed.

Results are lines of ``results.jsonl``: run it again and it goes on where it stopped. ``comparison.md``, ``.json`` and
``.svg`` are written after each set. ``--into benchmarks/RESULTS.md`` puts the table between that file's marks.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, Python sees this folder alone

from benchmarks.comparison.machine import provenance
from benchmarks.comparison.plot import svg
from benchmarks.comparison.results import Cell, Results, Row
from benchmarks.comparison.sets import Set, find_sets
from benchmarks.comparison.steps import (
    DEVICE,
    METHODS,
    QUICK_RUNS,
    RUNS,
    StepError,
    Workshop,
    figures,
    latencies,
)
from benchmarks.comparison.table import markdown, summarise
from edgeirf.bundle import Bundle
from edgeirf.errors import EdgeirfError
from edgeirf.files import write_text
from edgeirf.runtime.executors.select import choose_model

BEGIN, END = "<!-- comparison -->", "<!-- end of comparison -->"


def main(arguments: list[str] | None = None) -> None:
    """See the module's docstring."""
    options = parse(arguments)
    workshop = Workshop(options.output, options.precisions, options.quick)
    sets = find_sets(options.data, options.output, quick=options.quick, only=options.sets)
    if not sets:
        sys.exit(f"compare: no set in {options.data}: name a folder of sets in MVTec layout with --data")
    results = Results(options.output / "results.jsonl")
    header = provenance(sys.argv[1:] if arguments is None else arguments, options.threads)
    print("\n".join(header), flush=True)
    for data, seed in itertools.product(sets, options.seeds):
        measure(data, seed, workshop, results, options)
        write(results, header, options)
    print(markdown(summarise(results)))
    print(f"wrote {options.output}/comparison.md, .json and .svg")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line; ``--quick`` changes the defaults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of sets in MVTec layout")
    parser.add_argument("--output", type=Path, help="folder of results; default comparison, comparison-quick")
    parser.add_argument("--sets", type=_names, default=(), help="only these, separated by commas")
    parser.add_argument("--seeds", type=_names, help="default 0,1,2; quick: 0")
    parser.add_argument("--methods", type=_names, default=METHODS, help=f"default {','.join(METHODS)}")
    parser.add_argument("--precisions", type=_names, help="default fp32,int8; quick: fp32")
    parser.add_argument("--executors", type=_names, default=tuple(DEVICE), help=f"default {','.join(DEVICE)}")
    parser.add_argument("--threads", type=int, default=1, help="of the graphs that are timed")
    parser.add_argument("--into", type=Path, help=f"also put the table between the marks {BEGIN} and {END} there")
    parser.add_argument("--quick", action="store_true", help="a few pictures, 60 training steps, one seed: minutes")
    options = parser.parse_args(arguments)
    if set(options.methods) - set(METHODS) or set(options.executors) - set(DEVICE):
        parser.error(f"methods are {', '.join(METHODS)}; executors are {', '.join(DEVICE)}")
    options.seeds = tuple(map(int, options.seeds or (("0",) if options.quick else ("0", "1", "2"))))
    options.precisions = options.precisions or (("fp32",) if options.quick else ("fp32", "int8"))
    options.output = (options.output or Path("comparison-quick" if options.quick else "comparison")).resolve()
    options.data = options.data.resolve()
    return options


def measure(data: Set, seed: int, workshop: Workshop, results: Results, options: argparse.Namespace) -> None:
    """Measures what is missing of one set and seed."""
    missing = [
        cell
        for cell in (
            Cell(data.name, seed, *rest)
            for rest in itertools.product(options.methods, options.precisions, options.executors)
        )
        if not results.done(cell)
    ]
    if not missing:
        return
    bundles = dict(_bundles(data, seed, missing, workshop, results))
    times = latencies(bundles, options.threads, QUICK_RUNS if options.quick else RUNS)
    for cell, path in bundles.items():
        print(f"{cell.set}, seed {cell.seed}: {cell.method} {cell.precision} on {cell.executor}", flush=True)
        results.add(_row(cell, path, data, times.get(cell)))


def _bundles(
    data: Set, seed: int, cells: list[Cell], workshop: Workshop, results: Results
) -> Iterator[tuple[Cell, Path]]:
    """The bundle of every cell; cells without one get a row that says why."""
    for method in dict.fromkeys(cell.method for cell in cells):
        print(f"{data.name}, seed {seed}: training and exporting {method}", flush=True)
        own = [cell for cell in cells if cell.method == method]
        try:
            path = workshop.bundle(workshop.train(data, seed), method, seed)
        except StepError as error:
            for cell in own:
                results.add(Row(cell, {}, {}, None, "", str(error)))
            continue
        yield from ((cell, path) for cell in own)


def _row(cell: Cell, path: Path, data: Set, network_ms: float | None) -> Row:
    bundle = Bundle.read(path)
    try:
        choose_model(bundle, "onnxruntime", cell.precision)
        found = figures(path, data, cell)
    except EdgeirfError:
        return Row(cell, {}, {}, None, bundle.label, f"no {cell.precision}: its gate refused it at export")
    except StepError as error:
        return Row(cell, {}, {}, network_ms, bundle.label, str(error))
    return Row(cell, found, found.pop("perturbed", None) or {}, network_ms, bundle.label)


def write(results: Results, header: list[str], options: argparse.Namespace) -> None:
    """Table, JSON and plot of all that is there."""
    lines = summarise(results)
    text = "\n".join(f"- {line}" for line in header) + "\n\n" + markdown(lines)
    write_text(options.output / "comparison.md", text)
    report = {"header": header, "lines": [line.to_json() for line in lines]}
    write_text(options.output / "comparison.json", json.dumps(report, indent=1) + "\n")
    write_text(options.output / "comparison.svg", svg(lines))
    if options.into is not None:
        put_into(options.into, text)


def put_into(path: Path, text: str) -> None:
    """Replaces what is between the marks of a file, or appends it with marks; the rest is written by people."""
    before = path.read_text() if path.is_file() else "# Results\n\n"
    section = f"{BEGIN}\n{text}{END}\n"
    start, end = before.find(BEGIN), before.find(END)
    if start < 0 or end < start:
        write_text(path, f"{before.rstrip()}\n\n{section}")
    else:
        write_text(path, before[:start] + section + before[end + len(END) :].lstrip("\n"))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


if __name__ == "__main__":
    main()
