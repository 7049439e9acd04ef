from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import edgeirf
from edgeirf.bundle import GOLDEN, Bundle, write
from edgeirf.errors import UsageError
from edgeirf.export.standalone import member
from edgeirf.export.standalone.member import LIMIT, as_frame, difference, line_member, with_line
from edgeirf.line_graph import MEMBER
from edgeirf.manifest import Model
from edgeirf.runtime.imaging.preprocess import prepare
from edgeirf.settings import Preprocess

SETTINGS = [
    Preprocess(size=(64, 64)),
    Preprocess(size=(64, 96), roi=(8, 4, 130, 70)),
    Preprocess(size=(32, 32), tiles=(2, 3), color="gray"),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=["whole", "region", "gray tiles"])
def test_a_bundles_graph_gives_the_golden_images_the_scores_of_the_runtime(
    tiny_bundle: Callable[..., Path], tmp_path: Path, settings: Preprocess
) -> None:
    bundle = Bundle.read(tiny_bundle(tmp_path / "m.irf", settings=settings, held_out=4, line=True))
    assert difference(bundle, "fp32", bundle.member(MEMBER)) < 1e-5 < LIMIT


def test_a_golden_image_is_shown_to_the_network_as_it_is() -> None:
    for settings in (SETTINGS[0], SETTINGS[2]):
        image = np.random.default_rng(0).integers(0, 256, (settings.tiles[0] * settings.tiles[1], *settings.size, 3))
        image = (image if settings.color == "rgb" else image[..., :1].repeat(3, -1)).astype(np.uint8)
        assert np.array_equal(prepare(as_frame(image, settings), settings), image)


def with_int8(bundle: Bundle, network: bytes, refused: str | None) -> Bundle:
    """The bundle with an INT8 graph that passed its gate, or not."""
    fp32 = bundle.manifest.models["fp32"]
    int8 = Model("model.int8.onnx", "int8", "onnxruntime", fp32.calibration, fp32.scoring, refused)
    manifest = replace(bundle.manifest, models={"fp32": fp32, "int8": int8})
    members = {name: bundle.member(name) for name in bundle.manifest.members}
    return Bundle(bundle.path, manifest, {**members, int8.file: network}, "")


def test_the_network_inside_is_the_one_that_the_cpu_takes_by_itself(tiny_path: Path, int8: bytes) -> None:
    for refused, key in ((None, "int8"), ("3 of 9 verdicts differ", "fp32")):
        bundle = with_int8(Bundle.read(tiny_path), int8, refused)
        said = {one.key: one.value for one in onnx.load_from_string(line_member(bundle)).metadata_props}
        assert (said["edgeirf.graph"], said["edgeirf.precision"]) == (key, key)


def test_a_graph_that_disagrees_with_the_runtime_is_not_written(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = member.standalone

    def wrong(manifest: Any, *rest: Any) -> bytes:
        return original(replace(manifest, preprocess=replace(manifest.preprocess, mean=(0.5, 0.51, 0.5))), *rest)

    monkeypatch.setattr(member, "standalone", wrong)
    with pytest.raises(UsageError, match=r"the standalone graph and the runtime disagree by .* \(allowed 0\.001\)"):
        line_member(Bundle.read(tiny_path))


def test_frames_of_16_bits_are_compared_too(tiny_bundle: Callable[..., Path], tmp_path: Path) -> None:
    bundle = Bundle.read(tiny_bundle(tmp_path / "m.irf", settings=Preprocess(size=(64, 64), bits=12), held_out=4))
    buffer = io.BytesIO()
    np.savez(buffer, images=bundle.golden["images"].astype(np.uint16) * 16, scores=bundle.golden["scores"])
    members = {"model.fp32.onnx": bundle.member("model.fp32.onnx"), GOLDEN: buffer.getvalue()}
    write(tmp_path / "deep.irf", bundle.manifest, with_line(tmp_path / "deep.irf", bundle.manifest, members))
    assert edgeirf.load(tmp_path / "m.irf", threads=1).bundle.manifest.preprocess.bits == 12
    assert MEMBER in Bundle.read(tmp_path / "deep.irf").manifest.members


def test_a_region_smaller_than_the_network_is_refused_by_name(tiny_bundle: Callable[..., Path], tmp_path: Path) -> None:
    settings = Preprocess(size=(64, 64), roi=(0, 0, 60, 64))
    with pytest.raises(UsageError, match="cannot enlarge: the region of interest has 60x64 pixels"):
        tiny_bundle(tmp_path / "m.irf", settings=settings, held_out=4, line=True)
