"""Fits PaDiM or PatchCore on the training pictures of a run and writes a bundle for ``edgeirf eval``.

    python -m benchmarks.baselines RUN --method patchcore --output patchcore.irf

Backbone, taps, grid, pre-processing, training pictures and held-out parts are those of the run; so is the rule of the
threshold. FP32 only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from benchmarks.baselines.bundle import write_bundle
from benchmarks.baselines.features import training_features
from benchmarks.baselines.padim import PadimGraph
from benchmarks.baselines.patchcore import MEMORY, SHARE, fit_patchcore
from edgeirf.errors import EdgeirfError
from edgeirf.trainers.run import Run

METHODS = ("padim", "patchcore")


def main(arguments: list[str] | None = None) -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder of edgeirf train, finished or not")
    parser.add_argument("--method", choices=METHODS, required=True)
    parser.add_argument("--output", "-o", type=Path, required=True, help="bundle to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=SHARE, help="PatchCore: share of the patches in the memory")
    parser.add_argument("--memory", type=int, default=MEMORY, help="PatchCore: most patches in the memory")
    options = parser.parse_args(arguments)
    try:
        fit(options)
    except EdgeirfError as error:
        sys.exit(f"benchmarks.baselines: {error}")


def fit(options: argparse.Namespace) -> None:
    """Fits, writes, says what was made."""
    run = Run(options.run)
    extractor, z = training_features(run)
    graph: torch.nn.Module
    if options.method == "padim":
        graph = PadimGraph(extractor, z, options.seed)
    else:
        graph = fit_patchcore(extractor, z, options.seed, options.share, options.memory)
    write_bundle(run, graph, options.method, options.output)
    print(f"wrote {options.output} ({options.output.stat().st_size / 1e6:.1f} MB), fitted on {len(z)} pictures")


if __name__ == "__main__":
    main()
