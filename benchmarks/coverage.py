"""Does the first promise hold? Models of the demo from many seeds, each on fresh good parts.

    python benchmarks/coverage.py [--seeds 20] [--fresh 300] [--steps 300] [--size 480] [--json FILE]

Each seed renders its own good parts, trains and exports as ``edgeirf demo`` does, and inspects good parts that nobody
has seen, each as it is and in a copy that is changed within the tolerances: the held-out parts set the threshold with
the larger score of the two, so the promise is for this larger score, and parts that nothing changes are rejected less.
A threshold from n held-out parts promises a mean over such draws, and with 95 % confidence a bound for each draw. Two
checks decide the exit code: the mean over seeds is not above its promise, and no more seeds exceed their bound than 5 %
allow. Both allow for the number of seeds and parts. FILE keeps finished seeds: a second call goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import edgeirf
from edgeirf.calib.conditions.perturb import perturb
from edgeirf.calib.conditions.tolerances import Tolerances
from edgeirf.calib.evaluation.binomial import lower_bound
from edgeirf.calib.promise import rate_at_most
from edgeirf.cli import demo
from edgeirf.export.bundle import Options, export
from edgeirf.runtime.synthetic.dataset import write_dataset
from edgeirf.runtime.synthetic.render import render
from edgeirf.trainers.prepare import Recipe, prepare_run
from edgeirf.trainers.train import train

ASKED = 0.05
FRESH_SEED = 100_000
"""Added to a seed, it names parts that no training of these seeds has rendered."""


def measure(seed: int, fresh: int, size: int, steps: int, folder: Path) -> dict[str, Any]:
    """One row: the model of the demo with this seed, and what it does to fresh good parts."""
    parts = write_dataset(folder / "flange", train=demo.GOOD_PARTS, test_good=0, test_defects=0, seed=seed, size=size)
    run, _ = prepare_run(parts, folder / "run", Recipe(preset="nano", steps=steps, seed=seed))
    train(run)
    export(run, folder / "flange.irf", Options(false_reject_rate=ASKED))
    with edgeirf.load(folder / "flange.irf", device="cpu") as detector:
        rejects = changed = 0
        for index in range(fresh):
            part = render(seed + FRESH_SEED, index, None, "flange", size).image
            rejected = detector(part).reject
            copy = perturb(part, Tolerances(), np.random.default_rng((seed, index)), 8)
            rejects, changed = rejects + rejected, changed + (rejected or detector(copy).reject)
        return {
            "seed": seed,
            "held_out": detector.calibration.count,
            "odd": detector.calibration.odd,
            "promised": detector.false_reject_rate,
            "bound": rate_at_most(detector.calibration, ASKED),
            "rejects": rejects,
            "rejects_changed": changed,
            "fresh": fresh,
        }


def summary(rows: list[dict[str, Any]]) -> tuple[list[str], bool]:
    """The last lines, and whether the promise holds."""
    rates = [row["rejects_changed"] / row["fresh"] for row in rows]
    mean, promised = sum(rates) / len(rates), sum(row["promised"] for row in rows) / len(rows)
    spread = math.sqrt(sum((rate - mean) ** 2 for rate in rates) / max(1, len(rates) - 1) / len(rates))
    over = sum(rate > row["bound"] for rate, row in zip(rates, rows, strict=True))
    lines = [
        f"mean with changed copies {mean:.2%} +- {spread:.2%} over {len(rows)} seeds, promised at most {promised:.2%}",
        f"{over} of {len(rows)} seeds above their bound (promised: 5 % of them)",
    ]
    return lines, mean - 2 * spread <= promised and lower_bound(over, len(rows)) <= 0.05


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--fresh", type=int, default=300, help="fresh good parts a seed")
    parser.add_argument("--size", type=int, default=480, help="of a rendered frame, pixels a side")
    parser.add_argument("--steps", type=int, default=demo.STEPS, help="of the training")
    parser.add_argument("--json", type=Path, help="one row a seed; seeds that are there are not measured again")
    arguments = parser.parse_args()
    kept = arguments.json is not None and arguments.json.exists()
    rows: list[dict[str, Any]] = json.loads(arguments.json.read_text()) if kept else []
    done = {row["seed"] for row in rows}
    print("seed  held out  odd  promised  bound (95 %)  rejects of fresh good parts, as they are / the copy too")
    for seed in range(arguments.seeds):
        if seed not in done:
            with tempfile.TemporaryDirectory() as folder:
                rows.append(measure(seed, arguments.fresh, arguments.size, arguments.steps, Path(folder)))
            if arguments.json is not None:
                arguments.json.write_text(json.dumps(rows, indent=1))
        row = next(row for row in rows if row["seed"] == seed)
        print(
            f"{seed:4} {row['held_out']:9} {row['odd']:4} {row['promised']:9.2%} {row['bound']:13.2%}"
            f"  {row['rejects']} / {row['rejects_changed']} of {row['fresh']}",
            flush=True,
        )
    lines, holds = summary(rows)
    print("\n".join(lines))
    raise SystemExit(0 if holds else 1)


if __name__ == "__main__":
    main()
