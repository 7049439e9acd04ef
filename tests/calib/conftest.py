from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

MakeFolder = Callable[..., Path]


@pytest.fixture
def labelled(tmp_path: Path, good: Callable[..., np.ndarray], bad: Callable[..., np.ndarray]) -> MakeFolder:
    """``labelled(layout)``: a folder with 6 good parts and 4 + 2 defects of the kind that the tiny bundle rejects.

    ``layout`` is ``mvtec`` (``test/``, ``ground_truth/``), ``flat`` (no ``test/``, no masks); ``size`` that of the
    frames.
    """

    def make(layout: str = "mvtec", *, size: tuple[int, int] = (64, 64)) -> Path:
        root = tmp_path / "data"
        test = root / "test" if layout == "mvtec" else root
        mask = np.zeros(size, np.uint8)
        mask[size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = 255
        for kind, count, frame in (("good", 6, good), ("stain", 4, bad), ("hole", 2, bad)):
            (test / kind).mkdir(parents=True)
            for i in range(count):
                cv2.imwrite(str(test / kind / f"{i}.png"), frame(100 + i, size))
                if kind != "good" and layout == "mvtec":
                    (root / "ground_truth" / kind).mkdir(parents=True, exist_ok=True)
                    cv2.imwrite(str(root / "ground_truth" / kind / f"{i}_mask.png"), mask)
        return root

    return make
