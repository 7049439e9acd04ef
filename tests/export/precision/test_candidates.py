"""Precisions of a real, short run, from the pictures to the bundle."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

import edgeirf
from edgeirf.bundle import Bundle
from edgeirf.errors import FrameError, UsageError
from edgeirf.export.bundle import Options, export
from edgeirf.export.precision.validation import calibration_pictures, gather
from edgeirf.runtime.executors.select import choose_model
from edgeirf.trainers.prepare import Recipe, prepare_run
from edgeirf.trainers.run import Run
from edgeirf.trainers.train import train

DATA = Path(__file__).parents[3].parent / "shared" / "data"
BOTTLE, TILES = DATA / "mvtec_bottle", DATA / "magnetic_tile"
ALL = ("fp32", "fp16", "int8")


def write_all(folder: Path, pictures: list[np.ndarray]) -> Path:
    folder.mkdir(parents=True)
    for index, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{index}.png"), picture)
    return folder


def black(product: Path) -> list[np.ndarray]:
    """Twelve different pictures of nothing: the lens cap with a hot pixel."""
    pictures = [np.zeros((80, 80, 3), np.uint8) for _ in range(12)]
    for index, picture in enumerate(pictures):
        picture[0, index] = 3
    return pictures


def one_picture(product: Path) -> list[np.ndarray]:
    return [cv2.imread(str(sorted(product.iterdir())[0]))] * 12


def other_product(product: Path) -> list[np.ndarray]:
    """Low-contrast gray sheets."""
    rng = np.random.default_rng(0)
    return [cv2.GaussianBlur(rng.integers(20, 40, (80, 80, 3), dtype=np.uint8), (0, 0), 3) for _ in range(12)]


@pytest.fixture(scope="module")
def precisions(unified_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("precisions") / "m.irf"
    export(unified_run, path, Options(precisions=ALL, keep_refused=True))
    return Bundle.read(path)


def test_every_precision_has_its_graph_calibration_and_report(precisions: Bundle) -> None:
    models = precisions.manifest.models
    assert {key: (m.precision, m.family) for key, m in models.items()} == {
        "fp32": ("fp32", "any"),
        "fp16": ("fp16", "any"),
        "int8": ("int8", "onnxruntime"),
        "int8-tensorrt": ("int8", "tensorrt"),
    }
    for key, model in models.items():
        onnx.checker.check_model(onnx.load_from_string(precisions.member(model.file)))
        if key != "fp32":
            assert model.calibration != models["fp32"].calibration
            assert model.report.synthetic.defective == 60
            assert 0.01 <= model.report.golden_tolerance < 0.9
    assert models["fp16"].refused is None
    assert {"noise.linear", "noise.project_out"} <= set(models["int8"].report.float_layers)


@pytest.mark.parametrize("precision", ALL)
def test_every_precision_runs_and_agrees(precisions: Bundle, precision: str) -> None:
    fp32 = precisions.manifest.models["fp32"].calibration["blue"]
    spread = float(np.std(fp32.scores))
    with edgeirf.load(precisions.path, device="cpu", precision=precision, product="blue", threads=1) as detector:
        golden = precisions.golden
        scores = [detector.executor.score_pixels(image).score for image in golden["images"]]
        assert np.abs(np.array(scores) - golden["scores"]).max() < 2 * spread
        assert abs(detector.threshold - fp32.scores[-1]) < 2 * spread


@pytest.mark.parametrize(("bad", "keep"), [(black, True), (one_picture, False), (other_product, False)])
def test_bad_calibration_pictures_are_caught(tmp_path: Path, unified_run: Run, bad, keep: bool) -> None:
    for product in ("blue", "red"):
        write_all(tmp_path / "calib" / product, bad(Path(unified_run.config.data) / product))
    options = Options(precisions=("fp32", "int8"), calibration_folder=tmp_path / "calib", keep_refused=keep)
    made = export(unified_run, tmp_path / "m.irf", options).reduced
    assert [graph.model.refused is not None for graph in made] == [True, True], [g.summary() for g in made]
    bundle = Bundle.read(tmp_path / "m.irf")
    assert set(bundle.manifest.models) == ({"fp32", "int8", "int8-tensorrt"} if keep else {"fp32"})
    assert [choose_model(bundle, family, None)[0] for family in ("onnxruntime", "tensorrt")] == ["fp32", "fp32"]
    if keep:
        assert choose_model(bundle, "onnxruntime", "int8")[0] == "int8"


@pytest.mark.parametrize("options", [{"method": "invad"}, {"gaussian": "standard"}])
def test_every_method_has_precisions(tmp_path: Path, unified_run: Run, options) -> None:
    made = export(unified_run, tmp_path / "m.irf", Options(precisions=ALL, keep_refused=True, **options)).reduced
    assert [graph.key for graph in made] == ["fp16", "int8", "int8-tensorrt"]
    assert made[0].model.refused is None
    edgeirf.load(tmp_path / "m.irf", device="cpu", product="red", precision="int8", threads=1)


def test_labelled_images_are_part_of_the_proof(tmp_path: Path, unified_run: Run) -> None:
    for product in ("blue", "red"):
        pictures = [cv2.imread(str(p)) for p in sorted((Path(unified_run.config.data) / product).iterdir())[:6]]
        write_all(tmp_path / "labelled" / product / "good", pictures)
        write_all(tmp_path / "labelled" / product / "inverted", [255 - picture for picture in pictures])
    options = Options(precisions=("fp16",), validation_folder=tmp_path / "labelled")
    (made,) = export(unified_run, tmp_path / "m.irf", options).reduced
    assert made.model.report.labelled.good == 12
    assert made.model.report.labelled.defective == 12
    (tmp_path / "labelled" / "red" / "good").rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="needs good parts"):
        export(unified_run, tmp_path / "m.irf", options)


@pytest.mark.parametrize("option", ["calibration_folder", "validation_folder"])
def test_pictures_of_another_camera_prove_nothing(tmp_path: Path, unified_run: Run, option: str) -> None:
    for product in ("blue", "red"):
        for kind in ("good", "dent") if option == "validation_folder" else ("",):
            write_all(tmp_path / "other" / product / kind, [np.full((90, 90, 3), 50 + i, np.uint8) for i in range(2)])
    settings, frame = unified_run.config.preprocess, unified_run.config.frame
    pictures = {"blue": [np.zeros((1, 64, 64, 3), np.uint8)] * 2, "red": [np.zeros((1, 64, 64, 3), np.uint8)] * 2}
    read = {
        "calibration_folder": lambda: calibration_pictures(tmp_path / "other", list(pictures), settings, frame),
        "validation_folder": lambda: gather(pictures, settings, tmp_path / "other", frame),
    }[option]
    with pytest.raises(FrameError, match=r"0\.png: the frame is 90x90 pixels, the model knows 80x80"):
        read()


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"precisions": ("fp64",)}, "no precision fp64"),
        ({"calibration_method": "mean"}, "minmax"),
        ({"quantiser": "magic"}, "edgeirf, modelopt"),
    ],
)
def test_wrong_choices(choices, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Options(**choices)


def test_modelopt_is_named_when_it_is_missing(tmp_path: Path, unified_run: Run, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "modelopt", None)
    with pytest.raises(UsageError, match="pip install 'nvidia-modelopt"):
        export(unified_run, tmp_path / "m.irf", Options(precisions=("int8",), quantiser="modelopt"))
    assert not (tmp_path / "m.irf").exists()


def test_modelopt_writes_the_graph_for_tensorrt(tmp_path: Path, unified_run: Run, monkeypatch) -> None:
    calls = []

    def quantize(source: str, **options) -> None:
        calls.append(options)
        Path(options["output_path"]).write_bytes(Path(source).read_bytes())

    module = types.ModuleType("modelopt.onnx.quantization")
    module.quantize = quantize
    for name in ("modelopt", "modelopt.onnx"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "modelopt.onnx.quantization", module)
    made = export(unified_run, tmp_path / "m.irf", Options(precisions=("int8",), quantiser="modelopt")).reduced
    assert made[1].key == "int8-tensorrt"
    assert b"QuantizeLinear" not in made[1].graph
    assert b"QuantizeLinear" in made[0].graph
    assert calls[0]["calibration_eps"] == ["cpu"]
    assert calls[0]["calibration_data"]["image"].shape == (16, 3, 64, 64)
    assert r"/field/noise/linear/MatMul" in calls[0]["nodes_to_exclude"]


@pytest.fixture(scope="module")
def bottle_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    if not BOTTLE.is_dir():
        pytest.skip(f"needs the bottle pictures in {BOTTLE}")
    folder, parts = tmp_path_factory.mktemp("bottle") / "run", tmp_path_factory.mktemp("parts")
    for path in sorted((BOTTLE / "train" / "good").iterdir())[:100]:
        (parts / path.name).symlink_to(path)
    run, _ = prepare_run(parts, folder, Recipe("nano", size=(96, 96), steps=60, batch=32))
    assert train(run, device="cpu")
    return run


def test_real_bottles_pass_in_every_precision(bottle_run: Run, tmp_path: Path) -> None:
    options = Options(precisions=ALL, validation_folder=BOTTLE)
    result = export(bottle_run, tmp_path / "m.irf", options)
    assert [graph.model.refused for graph in result.reduced] == [None, None, None]
    bundle = Bundle.read(tmp_path / "m.irf")
    chosen = [choose_model(bundle, family, None)[0] for family in ("onnxruntime", "tensorrt")]
    assert chosen == ["int8", "fp16"]  # a GPU takes FP16 until it has timed INT8


def test_real_tiles_are_no_calibration_for_bottles(bottle_run: Run, tmp_path: Path) -> None:
    """Not even at the size and in the colours of the bottles, without which they are refused by name."""
    if not TILES.is_dir():
        pytest.skip(f"needs the tile pictures in {TILES}")
    tiles = sorted((TILES / "train" / "good").iterdir())[:48]
    frame = bottle_run.config.frame
    assert frame is not None
    with pytest.raises(FrameError, match="the model knows 448x448"):
        export(bottle_run, tmp_path / "m.irf", Options(precisions=("int8",), calibration_folder=tiles[0].parent))
    write_all(tmp_path / "tiles", [cv2.resize(cv2.imread(str(path)), (frame.width, frame.height)) for path in tiles])
    options = Options(precisions=("int8",), calibration_folder=tmp_path / "tiles")
    made = export(bottle_run, tmp_path / "m.irf", options).reduced
    assert all(graph.model.refused for graph in made), [graph.summary() for graph in made]
