"""A training run on disk: ``run.json``, ``calibration.npz``, ``checkpoint.safetensors``, ``model.safetensors``.

Everything that export needs is inside, so the pictures may move after training.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.files import replacing, write_bytes, write_text
from edgeirf.settings import Preprocess
from edgeirf.trainers.noise_net import NoiseNetConfig
from edgeirf.typed_json import from_json

RUN = "run.json"
CALIBRATION = "calibration.npz"
CHECKPOINT = "checkpoint.safetensors"
MODEL = "model.safetensors"


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides how a run trains; ``run.json``.

    Attributes:
        name: name of the model.
        data: folder of good parts.
        unified: one model for several products.
        preprocess: camera frame to network input.
        backbone, preset, net: feature network, name and size of the noise network.
        seed, steps, batch, learning_rate, ema: of the training loop.
        samples: ``[product, file, sha256, held out]`` of every picture.
    """

    name: str
    data: str
    unified: bool
    preprocess: Preprocess
    backbone: str
    preset: str
    net: NoiseNetConfig
    seed: int
    steps: int
    batch: int
    learning_rate: float
    ema: float
    samples: tuple[tuple[str, str, str, bool], ...]


class Run:
    """A run folder.

    Raises:
        UsageError: the folder is no run of edgeirf.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.config: RunConfig = from_json(RunConfig, json.loads((folder / RUN).read_text()), "run")
        except FileNotFoundError:
            raise UsageError(f"{folder} is not a training run (it has no {RUN})") from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise EdgeirfError(f"{folder / RUN} is damaged ({error}): train again") from None

    @classmethod
    def create(cls, folder: Path, config: RunConfig, calibration: dict[str, NDArray[Any]]) -> Run:
        """Starts a run: writes what training does not change. ``run.json`` comes last and makes it a run."""
        with replacing(folder / CALIBRATION) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **calibration)
        write_text(folder / RUN, json.dumps(dataclasses.asdict(config), indent=1))
        return cls(folder)

    @property
    def finished(self) -> bool:
        """Whether the trained model is there."""
        return (self.folder / MODEL).is_file()

    def calibration(self) -> dict[str, NDArray[Any]]:
        """Product name to prepared pixels of held-out good parts, ``(n, tiles, height, width, 3)`` RGB."""
        try:
            with np.load(self.folder / CALIBRATION, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, KeyError) as error:
            raise EdgeirfError(f"{self.folder / CALIBRATION} is damaged ({error}): train again") from None

    def save(self, name: str, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        """Writes a tensor file atomically."""
        write_bytes(self.folder / name, save({k: v.detach().contiguous() for k, v in tensors.items()}, metadata))

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Tensors and metadata of a tensor file.

        Raises:
            EdgeirfError: it is missing or damaged.
        """
        path = self.folder / name
        try:
            data = path.read_bytes()
            tensors = load(data)
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        except FileNotFoundError:
            raise EdgeirfError(f"{path} is missing: edgeirf train --resume {self.folder} finishes the run") from None
        except (OSError, ValueError, SafetensorError) as error:
            raise EdgeirfError(f"{path} is damaged ({error})") from None
        return tensors, dict(header.get("__metadata__", {}))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a run folder, so that two trainings do not write into one.

    Raises:
        UsageError: another process holds it.
        EdgeirfError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # the lock of a folder needs no file and leaves none
    except OSError as error:
        raise EdgeirfError(f"cannot use {folder}: {error.strerror or error}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another training is at work in {folder}: wait for it, or name another folder") from None
        try:
            yield
        finally:
            with suppress(OSError):
                folder.rmdir()  # when nothing came of it
    finally:
        os.close(handle)


def newest_run(folder: Path) -> Run:
    """The run under ``folder`` that was last trained on.

    Raises:
        UsageError: there is none.
    """
    runs = sorted(folder.glob(f"*/{RUN}"), key=lambda path: max(p.stat().st_mtime for p in path.parent.iterdir()))
    if not runs:
        raise UsageError(f"no training run in {folder}: train one first (edgeirf train DIR)")
    return Run(runs[-1].parent)
