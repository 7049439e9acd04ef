"""The steps of the comparison, each through the product's own commands with their default settings."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.comparison.results import Cell
from benchmarks.comparison.sets import Set
from edgeirf.bundle import Bundle
from edgeirf.errors import EdgeirfError
from edgeirf.runtime.executors.base import Network
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.runtime.executors.openvino import OpenVinoNetwork
from edgeirf.runtime.executors.select import choose_model

ROOT = Path(__file__).resolve().parents[2]
BASELINES = ("padim", "patchcore")
METHODS = ("irf", "invad", *BASELINES)
DEVICE = {"onnxruntime": "cpu", "openvino": "openvino"}
QUICK_STEPS = 60
WARM_UP, RUNS, QUICK_RUNS = 5, 60, 15


class StepError(Exception):
    """A command failed; the message is its last line."""


@dataclass(frozen=True)
class Workshop:
    """Where runs and bundles are kept, and how they are made.

    Attributes:
        folder: of the comparison.
        precisions: graphs of every bundle.
        quick: 60 training steps.
    """

    folder: Path
    precisions: tuple[str, ...]
    quick: bool

    def train(self, data: Set, seed: int) -> Path:
        """A finished run: default settings, the seed apart."""
        run = self.folder / "runs" / f"{data.name}-{seed}"
        if (run / "model.safetensors").is_file():
            return run
        if (run / "run.json").is_file():
            command("edgeirf", "train", "--resume", run)
        else:
            steps = ["--steps", QUICK_STEPS] if self.quick else []
            command("edgeirf", "train", data.folder, "--output", run, "--seed", seed, *steps)
        return run

    def bundle(self, run: Path, method: str, seed: int) -> Path:
        """The bundle of one method; baselines learn from the same pictures as the run."""
        path = self.folder / "bundles" / f"{run.name}-{method}.irf"
        if path.is_file():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        choices = ["--output", path, "--method", method]
        if method in BASELINES:  # in FP32 only
            command("benchmarks.baselines", run, *choices, "--seed", seed)
        else:
            command("edgeirf", "export", run, *choices, "--precision", ",".join(self.precisions))
        return path


def figures(bundle: Path, data: Set, cell: Cell) -> dict[str, Any]:
    """What ``edgeirf eval`` finds, perturbed pictures too where it offers them."""
    perturb = ["--perturb"] if offers("eval", "--perturb") else []
    choices = ["--precision", cell.precision, "--device", DEVICE[cell.executor], "--json", "-"]
    found: dict[str, Any] = json.loads(command("edgeirf", "eval", bundle, data.folder, *choices, *perturb))
    return found


@functools.cache
def offers(name: str, option: str) -> bool:
    """Whether a command of edgeirf has an option."""
    return option in command("edgeirf", name, "--help")


def latencies(cells: dict[Cell, Path], threads: int, runs: int) -> dict[Cell, float]:
    """Median milliseconds of each cell's graph, turn by turn in one process: other load hits all alike."""
    networks: dict[Cell, Network] = {}
    inputs: dict[Cell, np.ndarray[Any, np.dtype[np.float32]]] = {}
    for cell, path in cells.items():
        try:
            networks[cell], inputs[cell] = _network(Bundle.read(path), cell, threads)
        except EdgeirfError:
            continue  # the figures of the cell say why
    times: dict[Cell, list[float]] = {cell: [] for cell in networks}
    for _ in range(WARM_UP + runs):
        for cell, network in networks.items():
            start = perf_counter()
            network.run(inputs[cell])
            times[cell].append((perf_counter() - start) * 1e3)
    return {cell: median(values[WARM_UP:]) for cell, values in times.items()}


def _network(bundle: Bundle, cell: Cell, threads: int) -> tuple[Network, np.ndarray[Any, np.dtype[np.float32]]]:
    settings = bundle.manifest.preprocess
    tiles = settings.tiles[0] * settings.tiles[1]
    _, model = choose_model(bundle, "onnxruntime", cell.precision)
    graph = bundle.member(model.file)
    network: Network
    if cell.executor == "openvino":
        network = OpenVinoNetwork(graph, threads, tiles)
    else:
        network = OnnxRuntimeNetwork(graph, threads)
    return network, np.random.default_rng(0).uniform(-1, 1, (tiles, 3, *settings.size)).astype(np.float32)


def command(module: str, *arguments: object) -> str:
    """Runs a module of this Python from the root of the repository; its standard output.

    Raises:
        StepError: it failed and printed no result.
    """
    line = [sys.executable, "-m", module, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode and not done.stdout.startswith("{"):  # eval gives its figures and fails when pictures fail
        message = [text for text in (done.stderr or done.stdout).splitlines() if text.strip()]
        raise StepError(message[-1] if message else f"{module} ended with code {done.returncode}")
    return done.stdout
