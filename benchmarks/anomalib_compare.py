"""anomalib's models on the same sets, for comparison; optional, in an environment of its own.

    python -m venv peers && peers/bin/pip install 'anomalib[openvino]'
    peers/bin/python benchmarks/anomalib_compare.py SET [--models Padim,Patchcore] [--json peers.jsonl]

SET is in MVTec layout, as for ``edgeirf eval``. Each model is trained with its defaults on ``train/good``, tested on
``test``, exported to OpenVINO and timed with one thread on one frame of 256x256. anomalib brings another torch and
downloads its backbones: nothing of edgeirf is imported here, and edgeirf needs nothing of it. Written against anomalib
2.x and not part of the tests. To compare speed, run ``benchmarks/precision.py BUNDLE --threads 1`` on the same machine.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

MODELS = "Padim,Patchcore,Stfpm,Fastflow,EfficientAd"
SIZE = (256, 256)
WARM_UP, RUNS = 10, 60


def main() -> None:
    """One JSON line a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path)
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--epochs", type=int, help="most epochs of models that train; default: anomalib's")
    parser.add_argument("--work", type=Path, default=Path("peers-work"))
    parser.add_argument("--json", type=Path, default=Path("peers.jsonl"))
    options = parser.parse_args()
    for name in options.models.split(","):
        found = {"set": options.set.name, "model": name, **measure(name, options)}
        print(found, flush=True)
        with options.json.open("a") as file:
            file.write(json.dumps(found) + "\n")


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Figures of anomalib's own test, and the milliseconds of the exported model."""
    from anomalib import models
    from anomalib.data import Folder
    from anomalib.deploy import ExportType
    from anomalib.engine import Engine

    root = options.set.resolve()
    defects = sorted(path.name for path in (root / "test").iterdir() if path.is_dir() and path.name != "good")
    masks = [f"ground_truth/{defect}" for defect in defects]
    data = Folder(
        name=root.name,
        root=root,
        normal_dir="train/good",
        normal_test_dir="test/good",
        abnormal_dir=[f"test/{defect}" for defect in defects],
        mask_dir=masks if all((root / mask).is_dir() for mask in masks) else None,
        train_batch_size=1 if name == "EfficientAd" else 16,  # its paper's, which anomalib insists on
    )
    model = getattr(models, name)()
    limits = {} if options.epochs is None else {"max_epochs": options.epochs}
    engine = Engine(default_root_dir=options.work, accelerator="cpu", **limits)
    start = perf_counter()
    engine.fit(model=model, datamodule=data)
    minutes = (perf_counter() - start) / 60
    figures = engine.test(model=model, datamodule=data)[0]
    path = engine.export(model=model, export_type=ExportType.OPENVINO, export_root=options.work, input_size=SIZE)
    return {**{key: float(value) for key, value in figures.items()}, "minutes": minutes, "ms": latency(Path(path))}


def latency(path: Path) -> float:
    """Median milliseconds of one frame, one thread."""
    import numpy as np
    import openvino

    settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    frame = np.random.default_rng(0).random((1, 3, *SIZE), dtype=np.float32)
    times = []
    for _ in range(WARM_UP + RUNS):
        start = perf_counter()
        compiled([frame])
        times.append((perf_counter() - start) * 1e3)
    return median(times[WARM_UP:])


if __name__ == "__main__":
    main()
