"""The training loop: DDPM on cached features, EMA weights, resumable at any moment, reproducible from the seed."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edgeirf.errors import EdgeirfError
from edgeirf.trainers.diffusion import make_alphas_cumprod, noise_loss
from edgeirf.trainers.feature_cache import Progress, open_features, statistics
from edgeirf.trainers.features import FeatureExtractor
from edgeirf.trainers.noise_net import NoiseNet
from edgeirf.trainers.pretrained import load_backbone
from edgeirf.trainers.run import CHECKPOINT, MODEL, Run, RunConfig

WARM_UP = 100
CLIP_NORM = 1.0
SAVE_SECONDS = 60.0


@dataclass(frozen=True)
class Step:
    """What a progress bar shows: steps done, steps in all, mean loss of late, seconds left."""

    done: int
    total: int
    loss: float
    seconds_left: float


def train(
    run: Run,
    *,
    device: str = "auto",
    amp: str = "auto",
    max_minutes: float | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress = lambda items: items,
) -> bool:
    """Trains until the run's steps or minutes are over, or ``stop()`` says so; writes the model when it is done.

    Args:
        run: a new run, or one that was interrupted.
        device: ``auto``, ``cpu`` or ``cuda``.
        amp: ``bf16`` runs forward and backward in bfloat16 autocast, ``off`` in float32; ``auto`` where the
            processor computes in bfloat16.
        max_minutes: stop training after this time and keep what was learned.
        on_step, progress: for progress bars.
        stop: asked after every step; True saves a checkpoint and returns.

    Returns:
        Whether the model was written; False when ``stop()`` ended it early.

    Raises:
        EdgeirfError: a picture changed, the device is missing, or the loss is no longer finite.
    """
    config, place = run.config, choose_device(device)
    _seed(config.seed)
    extractor = FeatureExtractor(load_backbone(config.backbone), config.preprocess.size).eval().to(place)
    features = open_features(run, extractor, place, progress)
    mean, std, correlation = statistics(features)
    extractor.mean, extractor.std = mean.to(place), std.to(place)
    loop = _Loop(run, extractor, features, correlation, place, use_bf16(amp, place))
    started = saved = time.monotonic()
    first = loop.step
    while loop.step < config.steps:
        loop.advance()
        now = time.monotonic()
        left = (config.steps - loop.step) * (now - started) / (loop.step - first)
        if max_minutes is not None:
            left = min(left, started + 60 * max_minutes - now)
        on_step(Step(loop.step, config.steps, loop.smooth_loss, max(left, 0.0)))
        if stop():
            loop.save_checkpoint()
            return False
        if left <= 0 < config.steps - loop.step:
            break
        if now - saved > SAVE_SECONDS:
            loop.save_checkpoint()
            saved = now
    loop.save_model()
    return True


class _Loop:
    """State of one training: network, its EMA, optimiser, step."""

    def __init__(
        self,
        run: Run,
        extractor: FeatureExtractor,
        features: Tensor,
        correlation: Tensor,
        device: torch.device,
        bf16: bool,
    ) -> None:
        config = run.config
        self.run, self.extractor, self.features, self.device, self.bf16 = run, extractor, features, device, bf16
        torch.manual_seed(config.seed)
        self.net = NoiseNet(config.net, extractor.channels, extractor.grid).to(device)
        self.net.linear.fit(correlation.to(device))
        self.ema = {name: value.clone() for name, value in self.net.state_dict().items()}
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=config.learning_rate, betas=(0.9, 0.99))
        self.alphas_cumprod = make_alphas_cumprod(torch.float32).to(device)
        self.step = 0
        self.smooth_loss = math.nan
        if (run.folder / CHECKPOINT).is_file():
            self._restore()

    def advance(self) -> None:
        """One optimiser step. Every random number hangs on seed and step alone, so a resumed run is the same run."""
        config = self.run.config
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
        z = self._batch()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, self.step)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss = noise_loss(self.net, z, self.alphas_cumprod, generator, config.timesteps)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), CLIP_NORM)
        self.optimizer.step()
        self._update_ema()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise EdgeirfError(f"the loss is {value} at step {self.step}: lower --learning-rate")
        self.smooth_loss = value if math.isnan(self.smooth_loss) else 0.98 * self.smooth_loss + 0.02 * value
        self.step += 1

    def _batch(self) -> Tensor:
        count, batch = len(self.features), self.run.config.batch
        positions = range(self.step * batch, (self.step + 1) * batch)
        epochs = {p // count: epoch_order(self.run.config.seed, p // count, count) for p in positions}
        indices = torch.stack([epochs[p // count][p % count] for p in positions])
        phi = self.features[indices].to(self.device).float()
        return (phi - self.extractor.mean[:, None, None]) / self.extractor.std[:, None, None]

    def _update_ema(self) -> None:
        decay = min(self.run.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.net.named_parameters():
                self.ema[name].lerp_(value, 1 - decay)

    def save_checkpoint(self) -> None:
        """All that resuming needs, in one atomic file."""
        moments = {
            f"optimizer.{index}.{name}": value
            for index, state in self.optimizer.state_dict()["state"].items()
            for name, value in state.items()
        }
        tensors = {**_prefixed("net.", self.net.state_dict()), **_prefixed("ema.", self.ema), **moments}
        self.run.save(CHECKPOINT, tensors, {"step": str(self.step), "loss": str(self.smooth_loss)})

    def _restore(self) -> None:
        tensors, metadata = self.run.load(CHECKPOINT)
        try:
            self.net.load_state_dict(_chosen(tensors, "net."))
            self.ema = {name: value.to(self.device) for name, value in _chosen(tensors, "ema.").items()}
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in _chosen(tensors, "optimizer.").items():
                index, part = name.split(".", 1)
                state.setdefault(int(index), {})[part] = value
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": state, "param_groups": groups})
            self.step, self.smooth_loss = int(metadata["step"]), float(metadata["loss"])
        except (RuntimeError, KeyError, ValueError) as error:
            raise EdgeirfError(f"{self.run.folder / CHECKPOINT} does not fit this run ({error}): train again") from None

    def save_model(self) -> None:
        """The trained model: EMA weights and feature statistics. The checkpoint is done with."""
        statistics = {"features.mean": self.extractor.mean, "features.std": self.extractor.std}
        metadata = {"step": str(self.step), "loss": f"{self.smooth_loss:.4f}"}
        self.run.save(MODEL, {**_prefixed("ema.", self.ema), **statistics}, metadata)
        (self.run.folder / CHECKPOINT).unlink(missing_ok=True)


def load_model(run: Run) -> tuple[FeatureExtractor, NoiseNet]:
    """The trained feature extractor and noise network, in evaluation mode on the CPU.

    Raises:
        EdgeirfError: the run is unfinished or damaged.
    """
    config = run.config
    extractor = FeatureExtractor(load_backbone(config.backbone), config.preprocess.size)
    net = NoiseNet(config.net, extractor.channels, extractor.grid)
    tensors, _ = run.load(MODEL)
    try:
        extractor.mean, extractor.std = tensors["features.mean"], tensors["features.std"]
        net.load_state_dict(_chosen(tensors, "ema."))
    except (RuntimeError, KeyError) as error:
        raise EdgeirfError(f"{run.folder / MODEL} does not fit its {run.folder.name}/run.json ({error})") from None
    return extractor.eval(), net.eval().requires_grad_(False)


def learning_rate(config: RunConfig, step: int) -> float:
    """Linear warm-up, then half a cosine down to 2 % of the peak."""
    warm_up = min(WARM_UP, max(1, config.steps // 10))
    if step < warm_up:
        return config.learning_rate * (step + 1) / warm_up
    share = (step - warm_up) / max(1, config.steps - warm_up)
    return config.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))


def epoch_order(seed: int, epoch: int, count: int) -> Tensor:
    """The order of the samples in an epoch, ``(count,)``."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed * 7_919 + epoch))


def choose_device(device: str) -> torch.device:
    """``auto`` takes the GPU when torch sees one.

    Raises:
        EdgeirfError: torch has no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise EdgeirfError("torch sees no GPU here: train with --device cpu, or install a CUDA build of torch")
    return torch.device(device)


def use_bf16(amp: str, device: torch.device) -> bool:
    """Whether to train in bfloat16 autocast; on CPUs it pays only with bfloat16 instructions."""
    if amp != "auto":
        return amp == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(torch.backends.mkldnn.is_available() and torch.cpu._is_avx512_bf16_supported())


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in tensors.items()}


def _chosen(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
