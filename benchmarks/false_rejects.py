"""Whether false rejects keep the conformal promise on real good parts: 200 random splits.

    python benchmarks/false_rejects.py BUNDLE.irf DIR [--splits 200] [--json FILE]

The pool is every good part that the network was not trained on: the bundle's held-out parts, whose scores it carries,
and the good test images in DIR. Each split sets the threshold from one random half and counts false rejects in the
other. Their mean over splits must come to (n + 1 - rank) / (n + 1), which is at most the rate asked for; the script
fails when it is more than four standard errors off.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgeirf
from edgeirf.calib.evaluation.samples import GOOD, find_samples
from edgeirf.conformal import conformal_quantile
from edgeirf.runtime.imaging.images import read_image

RATES = (0.01, 0.02, 0.05, 0.1, 0.2)


def split_rates(pool: NDArray[np.float64], rate: float, splits: int) -> NDArray[np.float64]:
    """False-reject rate of the second half under the first half's threshold, for each random split."""
    rng, count = np.random.default_rng(0), len(pool) // 2
    measured = []
    for _ in range(splits):
        shuffled = rng.permutation(pool)
        threshold = conformal_quantile(tuple(np.sort(shuffled[:count]).tolist()), rate)
        measured.append(np.mean(shuffled[count:] > threshold))
    return np.array(measured)


def check(pool: NDArray[np.float64], rate: float, splits: int) -> dict[str, Any]:
    """One row: asked, exact expectation, measured mean and its standard error."""
    count = len(pool) // 2
    rank = math.ceil((count + 1) * (1 - rate) - 1e-9)
    measured = split_rates(pool, rate, splits)
    return {
        "asked": rate,
        "expected": (count + 1 - rank) / (count + 1),
        "measured": float(measured.mean()),
        "standard_error": float(measured.std(ddof=1) / math.sqrt(splits)),
    }


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--product")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with edgeirf.load(arguments.bundle, product=arguments.product) as detector:
        held_out = detector.calibration.scores
        test = [detector(read_image(s.path)).score for s in find_samples(arguments.folder) if s.defect == GOOD]
        pool = np.array([*held_out, *test], np.float64)
    half = len(pool) // 2
    rows = [check(pool, rate, arguments.splits) for rate in RATES if rate >= 1 / (half + 1)]
    print(f"{detector.bundle.label}: {len(held_out)} held-out and {len(test)} test good parts, halves of {half}")
    print("asked   expected  measured over splits")
    for row in rows:
        print(f"{row['asked']:5.1%} {row['expected']:9.2%} {row['measured']:9.2%} +- {row['standard_error']:.2%}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    wrong = [row for row in rows if abs(row["measured"] - row["expected"]) > 4 * row["standard_error"]]
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
