"""The labelled sets that are found on this machine, each in MVTec layout."""

from __future__ import annotations

import csv
import importlib.util
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeirf.calib.evaluation.samples import GOOD, find_samples
from edgeirf.runtime.imaging.folder import find_pictures

ELPV_TRAIN_SHARE = 0.7
ELPV_SEED = 0
"""ELPV has no split of its own: mono cells whose label is certain, 70 % of the good ones to train on."""
QUICK_TRAIN, QUICK_TEST = 60, 30


@dataclass(frozen=True)
class Set:
    """One labelled set.

    Attributes:
        name: in tables.
        folder: ``train/good``, ``test/<type>``, ``ground_truth/<type>`` where there are masks.
    """

    name: str
    folder: Path


def find_sets(data: Path, work: Path, *, quick: bool, only: Sequence[str] = ()) -> list[Set]:
    """Every set under ``data``, and ELPV where the package ``elpv-dataset`` is installed.

    Args:
        data: its sub-folders are the sets.
        work: where links to a split or to a part of a set are made.
        quick: at most 60 pictures to train on and 30 good and 30 defective ones to test.
        only: names to keep; none keeps all.
    """
    folders = sorted(path for path in data.iterdir() if (path / "train" / GOOD).is_dir()) if data.is_dir() else []
    found = [Set(path.name, path) for path in folders]
    cells = elpv_pictures()
    if cells is not None:
        found.append(Set("elpv_mono", link_elpv(*cells, work / "sets" / "elpv_mono")))
    found = [one for one in found if not only or one.name in only]
    return [Set(one.name, thin(one.folder, work / "sets-quick" / one.name)) for one in found] if quick else found


def elpv_pictures() -> tuple[list[Path], list[Path]] | None:
    """Good and defective mono cells of ``elpv-dataset`` (CC-BY-NC-SA: for evaluation only); None without it."""
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / "data"
    with (folder / "labels.csv").open() as file:
        rows = [row for row in csv.reader(file, delimiter=" ", skipinitialspace=True) if len(row) >= 3]
    mono = [(folder / row[0], float(row[1])) for row in rows if row[2] == "mono"]
    return [path for path, label in mono if label == 0], [path for path, label in mono if label == 1]


def link_elpv(good: list[Path], defective: list[Path], folder: Path) -> Path:
    """Links the cells into MVTec layout; the split is the same on every machine."""
    good = sorted(good)
    random.Random(ELPV_SEED).shuffle(good)
    count = round(ELPV_TRAIN_SHARE * len(good))
    _link(good[:count], folder / "train" / GOOD)
    _link(good[count:], folder / "test" / GOOD)
    _link(defective, folder / "test" / "defective")
    return folder


def thin(source: Path, folder: Path) -> Path:
    """Links a few pictures of a set, evenly over it, with their masks."""
    _link(_evenly(list(find_pictures(source / "train" / GOOD).pictures), QUICK_TRAIN), folder / "train" / GOOD)
    samples = find_samples(source)
    good = [sample for sample in samples if sample.defect == GOOD]
    defective = [sample for sample in samples if sample.defect != GOOD]
    for sample in [*_evenly(good, QUICK_TEST), *_evenly(defective, QUICK_TEST)]:
        _link([sample.path], folder / "test" / sample.defect)
        if sample.mask is not None:
            _link([sample.mask], folder / "ground_truth" / sample.defect)
    return folder


def _evenly(items: Sequence, count: int) -> list:  # type: ignore[type-arg]
    return [items[i * len(items) // count] for i in range(count)] if len(items) > count else list(items)


def _link(files: Sequence[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        link = folder / file.name
        if not link.exists():
            link.symlink_to(file.resolve())
