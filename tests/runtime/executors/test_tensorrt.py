from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeirf import bundle as bundles
from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError, UsageError
from edgeirf.runtime import detector
from edgeirf.runtime.cuda import context as cuda_context
from edgeirf.runtime.executors import select
from edgeirf.runtime.executors import tensorrt as tensorrt_module
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.runtime.executors.select import Request, Selection, candidates, open_executor
from edgeirf.runtime.executors.tensorrt import LoadedGraph, TensorRTNetwork, load_on
from edgeirf.runtime.tensorrt import library
from edgeirf.runtime.tensorrt.cache import EngineCache
from edgeirf.runtime.tensorrt.device import Gpu
from edgeirf.runtime.tensorrt.provide import EngineProvider
from edgeirf.settings import Preprocess

MakeBundle = Callable[..., Path]
TIME = TensorRTNetwork.milliseconds
"""The real one; the stand-in replaces it by a table."""


@pytest.fixture
def many(tmp_path: Path, tiny_bundle: MakeBundle) -> Bundle:
    """A bundle of two tiles with an INT8, an FP16 and an FP32 graph, which all compute the same."""
    plain = Bundle.read(tiny_bundle(tmp_path / "plain.irf", settings=Preprocess(size=(64, 64), tiles=(1, 2))))
    graph, golden = plain.member("model.fp32.onnx"), plain.member(bundles.GOLDEN)
    models, members = dict(plain.manifest.models), {"model.fp32.onnx": graph, bundles.GOLDEN: golden}
    for precision, family in (("fp16", "tensorrt"), ("int8", "tensorrt")):
        file = f"model.{precision}.onnx"
        models[precision] = replace(models["fp32"], file=file, precision=precision, family=family)
        members[file] = (
            b"\x12\x04" + precision.encode().ljust(4) + graph
        )  # a producer's name: the stand-in's way to know which is which
    bundles.write(tmp_path / "many.irf", replace(plain.manifest, models=models), members)
    return Bundle.read(tmp_path / "many.irf")


@pytest.fixture
def provider(stand_in: Any, tmp_path: Path) -> EngineProvider:
    return EngineProvider(stand_in.library(), stand_in.device, EngineCache(tmp_path / "cache"))


def open_best(provider: EngineProvider, bundle: Bundle, precision: str | None = None) -> LoadedGraph:
    return load_on(provider, bundle, candidates(bundle, "tensorrt", precision))


def open_model(bundle: Bundle, device: str = "auto", precision: str | None = None) -> Selection:
    return open_executor(bundle, Request("part", 0.01, device, precision))


def test_the_fastest_precision_gives_what_onnx_runtime_gives(
    stand_in: Any, provider: EngineProvider, many: Bundle
) -> None:
    opened = open_best(provider, many)
    assert (opened.key, stand_in.builds) == ("int8", ["fp16", "int8"])
    reference = OnnxRuntimeNetwork(many.member("model.fp32.onnx"), threads=1)
    for seed in range(3):
        batch = np.random.default_rng(seed).normal(size=(2, 3, 64, 64)).astype(np.float32)
        np.testing.assert_array_equal(opened.network.run(batch), reference.run(batch))


def test_a_field_stays_as_it_is_when_the_next_one_comes(provider: EngineProvider, many: Bundle) -> None:
    network = open_best(provider, many).network
    first = network.run(np.ones((2, 3, 64, 64), np.float32))
    kept = first.copy()
    network.run(np.zeros((2, 3, 64, 64), np.float32))
    np.testing.assert_array_equal(first, kept)


def test_addresses_that_another_has_bound_do_not_matter(provider: EngineProvider, many: Bundle) -> None:
    network: Any = open_best(provider, many).network
    batch = np.ones((2, 3, 64, 64), np.float32)
    before = network.run(batch)
    network.engine.bind(0, 0)
    np.testing.assert_array_equal(network.run(batch), before)


def test_engines_are_built_once(stand_in: Any, provider: EngineProvider, many: Bundle) -> None:
    open_best(provider, many)
    open_best(provider, many)
    assert stand_in.builds == stand_in.timed == ["fp16", "int8"]


@pytest.mark.parametrize(
    ("times", "key"),
    [
        ({"fp16": 2.0, "int8": 3.0}, "fp16"),
        ({"fp16": 2.0, "int8": 1.0}, "int8"),
        ({"fp16": 2.0, "int8": 2.0}, "fp16"),
        ({"fp16": 2.0, "int8": 3.0, "fp32": 0.1}, "fp16"),
    ],
)
def test_the_precision_that_this_device_runs_fastest_is_taken(
    stand_in: Any, provider: EngineProvider, many: Bundle, times: dict[str, float], key: str
) -> None:
    stand_in.times.update(times)
    assert [open_best(provider, many).key for _ in range(2)] == [key, key]
    assert stand_in.timed == ["fp16", "int8"]


def test_a_run_is_timed_on_the_stream(provider: EngineProvider, many: Bundle) -> None:
    network: Any = open_best(provider, many, "fp32").network
    runs, real = [], network.engine.enqueue
    network.engine.enqueue = lambda stream: (runs.append(stream), real(stream))
    assert TIME(network, launches=5) > 0
    assert len(runs) == 5 + tensorrt_module.WARM_UP


@pytest.mark.parametrize(
    ("gain", "unbuildable", "key", "said"),
    [
        ({}, set(), "int8", ()),
        ({"int8": 1.5}, set(), "fp16", ("int8 on Orin with TensorRT 10.7.0: scores of the golden images are off by",)),
        ({"int8": float("nan")}, set(), "fp16", ("it is left out",)),
        ({"int8": 0.0, "fp16": -1.2}, set(), "fp32", ("fp16 on Orin", "int8 on Orin")),
        ({}, {"int8"}, "fp16", ("int8 on Orin with TensorRT 10.7.0: TensorRT 10.7.0 cannot build the engine",)),
        ({"fp16": 2.0}, {"int8"}, "fp32", ("is allowed; it is left out", "no kernel; it is left out")),
        ({"fp32": 2.0}, set(), "int8", ()),
    ],
)
def test_a_precision_that_disagrees_is_replaced_by_the_next_safer_one(
    stand_in: Any,
    provider: EngineProvider,
    many: Bundle,
    caplog: pytest.LogCaptureFixture,
    gain: dict[str, float],
    unbuildable: set[str],
    key: str,
    said: tuple[str, ...],
) -> None:
    stand_in.gain.update(gain)
    stand_in.unbuildable.update(unbuildable)
    opened = open_best(provider, many)
    warnings = [r.getMessage() for r in caplog.records if "it is left out" in r.getMessage()]
    assert opened.key == key
    assert len(warnings) == len(said)
    assert all(text in line for text, line in zip(said, warnings, strict=True))


def test_a_failing_engine_is_checked_again_and_not_built_again(
    stand_in: Any, provider: EngineProvider, many: Bundle
) -> None:
    stand_in.gain["int8"] = 1.5
    assert [open_best(provider, many).key for _ in range(2)] == ["fp16", "fp16"]
    assert stand_in.builds == ["fp16", "int8"]


def test_nothing_that_agrees_is_an_error(stand_in: Any, provider: EngineProvider, many: Bundle) -> None:
    stand_in.gain.update(int8=2.0, fp16=2.0, fp32=2.0)
    with pytest.raises(BackendError, match=r"fp32 on Orin with TensorRT 10\.7\.0: scores of the golden images are off"):
        open_best(provider, many)


def test_a_precision_asked_for_is_not_replaced(stand_in: Any, provider: EngineProvider, many: Bundle) -> None:
    stand_in.gain["int8"] = 1.5
    with pytest.raises(BackendError, match="int8 on Orin"):
        open_best(provider, many, "int8")
    assert open_best(provider, many, "fp32").key == "fp32"


def test_an_engine_of_another_version_is_named_and_rebuilt(
    stand_in: Any, provider: EngineProvider, many: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    open_best(provider, many, "int8")
    stand_in.version = "10.9.0"
    open_best(EngineProvider(stand_in.library(), stand_in.device, provider.cache), many, "int8")
    assert stand_in.builds == ["int8", "int8"]
    assert (
        "the int8 engine was built for Orin (SM87) with TensorRT 10.7.0, this is Orin (SM87) with TensorRT 10.9.0: "
        "rebuilding, about 60 s"
    ) in caplog.text


def test_two_gpus_keep_an_engine_each(stand_in: Any, provider: EngineProvider, many: Bundle) -> None:
    for gpu in (Gpu("Orin", (8, 7), 8), Gpu("Orin", (8, 7), 16), Gpu("Orin", (8, 7), 8)):
        stand_in.device.gpu = gpu
        open_best(provider, many, "int8")
    assert stand_in.builds == ["int8", "int8"]


def test_an_engine_tensorrt_does_not_take_is_rebuilt(
    stand_in: Any, provider: EngineProvider, many: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = provider.library
    open_best(provider, many, "int8")
    stand_in.version = "10.7.0.26"  # the file says 10.7.0, as the key does; the library knows better
    with pytest.raises(BackendError):
        open_best(EngineProvider(loaded, stand_in.device, provider.cache), many, "int8")
    assert stand_in.builds == ["int8", "int8"]
    assert "cannot load the engine: Error Code 6" in caplog.text


def test_another_batch_is_refused(provider: EngineProvider, many: Bundle) -> None:
    network = open_best(provider, many).network
    with pytest.raises(BackendError, match=r"takes \(2, 3, 64, 64\), not \(1, 3, 64, 64\)"):
        network.run(np.zeros((1, 3, 64, 64), np.float32))


def test_closing_frees_the_gpu(stand_in: Any, provider: EngineProvider, many: Bundle) -> None:
    network = open_best(provider, many).network
    network.close()
    network.close()
    assert stand_in.device.closed
    assert not stand_in.device.depth


def test_what_rtx_compiled_is_kept(stand_in: Any, many: Bundle, tmp_path: Path) -> None:
    stand_in.flavour = "tensorrt_rtx"
    provider = EngineProvider(stand_in.library(), stand_in.device, EngineCache(tmp_path / "cache"))
    open_best(provider, many)
    kernels = next(provider.cache.folder.glob("*.kernels"))
    written = kernels.stat().st_mtime_ns
    open_best(provider, many)
    assert kernels.stat().st_mtime_ns == written


@pytest.fixture
def installed(stand_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stand-ins where the real TensorRT, driver and cache would be."""
    loaded = stand_in.library()
    monkeypatch.setattr(tensorrt_module, "CudaDevice", lambda: stand_in.device)
    monkeypatch.setattr(library, "load", lambda: loaded)
    monkeypatch.setenv("EDGEIRF_CACHE", str(tmp_path / "cache"))
    return stand_in


@pytest.mark.parametrize(
    ("refuses", "said"),
    [
        ("Runtime", "TensorRT 10.7.0 cannot start its runtime: CUDA initialization failure with error: 35"),
        ("deserialize", "TensorRT 10.7.0 cannot load the engine: Error Code 1: Cuda Runtime (out of memory)"),
        ("context", "TensorRT 10.7.0 cannot run the engine: Error Code 2: OutOfMemory"),
        ("enqueue", "TensorRT 10.7.0 failed: it gave no reason"),
    ],
)
def test_auto_survives_every_way_in_which_tensorrt_fails(
    installed: Any,
    many: Bundle,
    refuses: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    installed.refuses = refuses
    monkeypatch.setattr(select, "gpu_present", lambda: True)
    assert open_model(many, "auto").executor.name == "onnxruntime"
    (line,) = [r.getMessage() for r in caplog.records if "TensorRT is not used" in r.getMessage()]
    assert said in line
    assert "\n" not in line
    with pytest.raises(BackendError, match="TensorRT"):
        open_model(many, "tensorrt")


def test_a_tensorrt_for_a_later_cuda_is_named_before_it_fails(
    installed: Any, many: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = replace(library.load(), version="11.4.0", cuda=13)
    monkeypatch.setattr(library, "load", lambda: later)
    with pytest.raises(BackendError, match=r"TensorRT 11\.4\.0 is built for CUDA 13, the driver is of CUDA 12: pip "):
        open_model(many, "tensorrt")
    assert installed.builds == []


@pytest.mark.parametrize(
    ("device", "broken", "name", "key"),
    [
        ("auto", (), "tensorrt", "int8"),
        ("tensorrt", (), "tensorrt", "int8"),
        ("auto", ("int8",), "tensorrt", "fp16"),
        ("auto", ("int8", "fp16", "fp32"), "onnxruntime", "fp32"),
        ("cpu", (), "onnxruntime", "fp32"),
    ],
)
def test_which_back_end_a_device_means(
    installed: Any, many: Bundle, device: str, broken: tuple[str, ...], name: str, key: str
) -> None:
    installed.gain.update(dict.fromkeys(broken, 2.0))
    opened = open_model(many, device)
    assert (opened.executor.name, opened.key) == (name, key)
    assert installed.device.closed is (device == "auto" and name == "onnxruntime")


def test_a_detector_on_tensorrt(
    installed: Any, many: Bundle, good: Callable[..., Any], bad: Callable[..., Any]
) -> None:
    told: list[float] = []
    with (
        detector.load(many.path, "tensorrt", progress=lambda fraction, phase: told.append(fraction)) as fast,
        detector.load(many.path, "cpu") as plain,
    ):
        for frame in (good(1, (64, 128)), bad(2, (64, 128))):
            a, b = fast(frame), plain(frame)
            assert (a.reject, a.score, a.regions) == (b.reject, b.score, b.regions)
    assert told == [1.0, 1.0]
    assert fast.model_key == "int8"


def test_a_wrong_product_is_said_before_an_engine_is_built(installed: Any, many: Bundle) -> None:
    with pytest.raises(UsageError, match="knows no product 'nut'"):
        detector.load(many.path, product="nut")
    assert installed.builds == []


@pytest.mark.parametrize(("gpu", "level"), [(True, logging.WARNING), (False, logging.DEBUG)])
def test_auto_says_why_a_gpu_idles(
    many: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, gpu: bool, level: int
) -> None:
    def missing() -> Any:
        raise BackendError("pycuda is not installed: pip install pycuda")

    monkeypatch.setattr(cuda_context, "load_driver", missing)
    monkeypatch.setattr(select, "gpu_present", lambda: gpu)
    with caplog.at_level(logging.DEBUG, "edgeirf"):
        assert open_model(many, "auto").executor.name == "onnxruntime"
    (record,) = [r for r in caplog.records if "TensorRT is not used" in r.getMessage()]
    assert record.levelno == level
    assert "pip install pycuda" in record.getMessage()
    with pytest.raises(BackendError, match="pip install pycuda"):
        open_model(many, "tensorrt")


@pytest.mark.parametrize("spoilt", ["others can write to it", "a file in its place"])
def test_a_cache_that_cannot_be_used_is_not_used_and_the_engine_is_built(
    installed: Any, many: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture, spoilt: str
) -> None:
    if spoilt == "a file in its place":
        (tmp_path / "cache").write_text("")
    else:
        (tmp_path / "cache" / "engines").mkdir(parents=True)
        (tmp_path / "cache" / "engines").chmod(0o777)
    for _ in range(2):
        opened = open_model(many, "tensorrt")
        assert opened.executor.name == "tensorrt"
        opened.executor.close()
    assert len(installed.builds) == 4  # two precisions, each twice
    assert "the engine is built at every start" in caplog.text
    if spoilt != "a file in its place":
        assert list((tmp_path / "cache" / "engines").iterdir()) == []


def test_auto_runs_a_precision_only_onnx_runtime_has(installed: Any, many: Bundle, tmp_path: Path) -> None:
    models = dict(many.manifest.models)
    models["int8"] = replace(models["int8"], family="onnxruntime", file="model.fp32.onnx")
    members = {name: many.member(name) for name in many.manifest.members}
    bundles.write(tmp_path / "other.irf", replace(many.manifest, models=models), members)
    other = Bundle.read(tmp_path / "other.irf")
    assert open_model(other, "auto", "int8").executor.name == "onnxruntime"
    assert open_model(other, "auto").key == "fp16"
    with pytest.raises(UsageError, match="has no int8 for tensorrt"):
        open_model(other, "tensorrt", "int8")


def test_engines_built_at_export_are_there_at_the_first_start(
    installed: Any, many: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeirf.export import engines as engine

    monkeypatch.setattr(engine, "CudaDevice", lambda: installed.device)
    assert engine.build_for_this_gpu(many) == ["fp16", "int8", "fp32"]
    assert installed.device.closed
    open_model(many, "tensorrt")
    assert installed.builds == ["fp16", "int8", "fp32"]


def test_an_address_that_is_not_aligned_is_refused(
    stand_in: Any, provider: EngineProvider, many: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IExecutionContext::setTensorAddress refuses it; a GPU that took it would read another pixel."""
    real = stand_in.device.allocate
    monkeypatch.setattr(stand_in.device, "allocate", lambda size: real(size + 64) + 64)
    with pytest.raises(BackendError, match=r"refuses the addresses: .*not aligned"):
        open_best(provider, many, "fp32")
