"""A training run on disk, with everything that export needs: the pictures may move after training.

``run.json`` (what decides how the run trains), ``held_out.npz`` (pixels of the held-out parts), ``features.npy``
(features of the training pictures), ``checkpoint.safetensors`` while it trains, ``model.safetensors`` when it is done.
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
from edgeirf.frame_contract import FrameContract
from edgeirf.settings import Preprocess
from edgeirf.trainers.noise_net import NoiseNetConfig
from edgeirf.typed_json import from_json

RUN = "run.json"
HELD_OUT = "held_out.npz"
FEATURES = "features.npy"
CHECKPOINT = "checkpoint.safetensors"
MODEL = "model.safetensors"


@dataclass(frozen=True)
class Picture:
    """One picture of a good part: its product, file and SHA-256, and whether it is held out from training."""

    product: str
    file: str
    sha256: str
    held_out: bool


@dataclass(frozen=True)
class HeldOut:
    """Held-out good parts of one product, ready for the network.

    Attributes:
        clean: ``(n, T, height, width, 3)`` RGB pixels.
        varied: the same parts, each changed once within the tolerances.
    """

    clean: NDArray[Any]
    varied: NDArray[Any]


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
        timesteps: t is drawn from 0 to ``timesteps - 1``.
        tolerate: what the line may do to a picture, see :class:`edgeirf.calib.conditions.tolerances.Tolerances`.
        variants: changed copies of each picture that are trained on beside it.
        pictures: every picture of a good part.
        frame: what they have in common; None in a run of an edgeirf that did not keep it.
        cross_fit: the run has folds, see :mod:`edgeirf.trainers.folds`.
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
    timesteps: int
    tolerate: str
    variants: int
    pictures: tuple[Picture, ...]
    frame: FrameContract | None = None
    cross_fit: bool = False

    @property
    def training_pictures(self) -> tuple[Picture, ...]:
        """Those that are not held out, in the order of their features."""
        return tuple(picture for picture in self.pictures if not picture.held_out)


class Run:
    """A run folder.

    >>> Run(Path("parts"))
    Traceback (most recent call last):
    edgeirf.errors.UsageError: parts is not a training run (it has no run.json)

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
    def create(cls, folder: Path, config: RunConfig, held_out: dict[str, HeldOut]) -> Run:
        """Starts a run: writes what training does not change. ``run.json`` comes last and makes it a run."""
        arrays = {f"clean/{name}": part.clean for name, part in held_out.items()}
        arrays |= {f"varied/{name}": part.varied for name, part in held_out.items()}
        with replacing(folder / HELD_OUT) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        write_text(folder / RUN, json.dumps(dataclasses.asdict(config), indent=1))
        return cls(folder)

    @property
    def finished(self) -> bool:
        """Whether the trained model is there."""
        return (self.folder / MODEL).is_file()

    def held_out(self) -> dict[str, HeldOut]:
        """Product name to the held-out good parts.

        Raises:
            EdgeirfError: the file is damaged.
        """
        products = dict.fromkeys(picture.product for picture in self.config.pictures)
        try:
            with np.load(self.folder / HELD_OUT, allow_pickle=False) as arrays:
                return {name: HeldOut(arrays[f"clean/{name}"], arrays[f"varied/{name}"]) for name in products}
        except (OSError, ValueError, KeyError) as error:
            raise EdgeirfError(f"{self.folder / HELD_OUT} is damaged ({error}): train again") from None

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
        EdgeirfError: it cannot be created.
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
