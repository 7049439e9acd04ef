"""What a model needs to know about images and scores. Part of the bundle, the same in training and on the line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Color = Literal["rgb", "gray"]
Density = Literal["nll", "norm"]
PixelFormat = Literal[
    "bgr8", "rgb8", "gray8", "bgr16", "rgb16", "gray16",
    "bayer_rggb8", "bayer_grbg8", "bayer_gbrg8", "bayer_bggr8", "nv12",
]  # fmt: skip
"""How a camera's bytes are laid out; :mod:`edgeirf.runtime.imaging.pixel_format` describes the arrays. A Bayer name
gives the colours of the first two pixels of the first two rows, as GenICam does."""

MAX_SCALES = 64
LARGEST_MAP = 8192
"""Pixels of a side of all tiles together: the map's side."""


@dataclass(frozen=True)
class Preprocess:
    """Camera frame to network input; carried out by :mod:`edgeirf.runtime.imaging.preprocess`.

    >>> Preprocess(size=(256, 320), tiles=(1, 2)).roi is None
    True

    Attributes:
        size: ``(height, width)`` of the network input, pixels, for each tile.
        roi: ``(x, y, width, height)`` in frame pixels of what is inspected; None for the whole frame.
        tiles: ``(rows, columns)`` of the tiles of the region of interest; each is resized to ``size``.
        color: ``"gray"`` takes the luminance of a colour frame, and repeats it in all three channels.
        bits: significant bits of 16-bit frames (12 for a 12-bit camera); 8-bit frames always have 8.
        mean, std: per channel RGB, in units of the white level: input = (value / white - mean) / std.
    """

    size: tuple[int, int] = (256, 256)
    roi: tuple[int, int, int, int] | None = None
    tiles: tuple[int, int] = (1, 1)
    color: Color = "rgb"
    bits: int = 8
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
        if min(self.size) < 32 or max(self.size) > 4096 or any(side % 32 for side in self.size):
            raise ValueError(f"input size must be multiples of 32 between 32 and 4096, not {self.size}")
        if min(self.tiles) < 1 or self.tiles[0] * self.tiles[1] > 256:
            raise ValueError(f"tiles must be between 1x1 and 256 in all, not {self.tiles}")
        if self.size[0] * self.tiles[0] > LARGEST_MAP or self.size[1] * self.tiles[1] > LARGEST_MAP:
            raise ValueError(
                f"tiles side by side may have {LARGEST_MAP} pixels a side at most, not "
                f"{self.tiles[1]} columns of {self.size[1]} and {self.tiles[0]} rows of {self.size[0]}: "
                "make them smaller or fewer"
            )
        if self.roi is not None and (max(self.roi) > 2**20 or min(self.roi) < 0 or min(self.roi[2:]) < 1):
            raise ValueError(f"region of interest must be x,y,width,height in pixels, not {self.roi}")
        if self.color not in ("rgb", "gray") or not 8 <= self.bits <= 16 or min(self.std) <= 0:
            raise ValueError("color is rgb or gray, bits 8 to 16, std positive")


@dataclass(frozen=True)
class Scoring:
    """Residual field to anomaly map and image score; carried out by :mod:`edgeirf.runtime.scoring`.

    >>> Scoring(top_k=10).sigma
    1.0

    Attributes:
        density: ``"nll"``: half the sum of squares over channels (IRF); ``"norm"``: its root (InvAD).
        sigma: standard deviation of the Gaussian smoothing, in pixels of the map. A grid position has 16 of them: more
            smoothing takes from the score of a defect of one position (`benchmarks/RESULTS.md`).
        top_k: the image score is the mean of this many largest map values; 1 is the maximum.
        latent: None for IRF. For InvAD ``(nll_mean, nll_std, spread_mean, spread_std)`` of calibration parts: the
            image score is the standardised negative log-likelihood of the latent plus the standardised max - min
            of the map (arXiv 2504.05662, section 3.3, with calibration statistics in place of the test set's).
        scales: what each channel of the field says, see :mod:`edgeirf.calib.fitting.density`; empty where channels
            have no meaning of their own.
    """

    density: Density = "nll"
    sigma: float = 1.0
    top_k: int = 1
    latent: tuple[float, float, float, float] | None = None
    scales: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.density not in ("nll", "norm") or not 0 <= self.sigma <= 64 or not 1 <= self.top_k <= 1_000_000:
            raise ValueError("density is nll or norm, sigma 0 to 64, top_k at least 1")
        if self.latent is not None and (self.latent[1] <= 0 or self.latent[3] <= 0):
            raise ValueError("standard deviations of the latent's statistics must be positive")
        if len(self.scales) > MAX_SCALES:
            raise ValueError(f"{len(self.scales)} scales are too many")
