"""Every source module has its own test file, or says here which one tests it."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOPS = ("edgeirf", "runtime", "calib", "trainers", "export")

DOCTOR = "runtime/doctor/test_doctor.py"  # the whole room, as a user sees it: a machine in, lines out
NUMBERS = "runtime/bench/test_numbers.py"  # pure figures of one report
MEASURE = "runtime/bench/test_measure.py"  # one measurement of a real bundle
DRIVER = "gpu/on_driver/inside/test_driver.py"  # needs the stand-in driver
EXECUTOR = "gpu/on_driver/inside/test_executor.py"  # parts of one executor: alone they do nothing
SELFTEST = "gpu/on_driver/inside/test_selftest.py"
SINKS = "runtime/sinks/test_sinks.py"
FILES = "runtime/sources/test_files.py"
LIVE = "runtime/sources/test_live.py"
LINE = "runtime/line/test_line.py"  # threads of one line: alone they do nothing
SYNTHETIC = "runtime/synthetic/test_synthetic.py"
PAGE = "calib/reports/test_evaluation_page.py"  # parts of one page
FUSION = "export/test_model_fusion.py"
INT8 = "export/precision/quantisers/test_own.py"
GRAPHS = "edgeirf/onnx_check/test_check.py"  # whole graphs: a part alone refuses nothing
CANDIDATES = "export/precision/test_candidates.py"

TESTED_ELSEWHERE = {
    "edgeirf/cli/init.py": "edgeirf/cli/test_run_line.py",  # what it writes is run
    "edgeirf/cli/tune.py": "edgeirf/cli/test_train.py",  # wrong uses; the work is in export/test_tune.py
    "edgeirf/errors.py": "edgeirf/cli/test_run.py",  # classes without code: their exit codes
    "edgeirf/part.py": "test_doctests.py",  # plain data
    "edgeirf/needs.py": "edgeirf/test_entry.py",
    "edgeirf/onnx_check/graph.py": GRAPHS,
    "edgeirf/onnx_check/call.py": GRAPHS,
    "edgeirf/onnx_check/computing.py": GRAPHS,
    "edgeirf/onnx_check/shapes.py": GRAPHS,
    "edgeirf/onnx_check/values.py": GRAPHS,
    "edgeirf/onnx_check/wire.py": GRAPHS,
    "runtime/audit/anchor.py": "runtime/audit/test_verify.py",
    "runtime/audit/model.py": "test_doctests.py",
    "runtime/audit/row.py": "runtime/audit/test_store.py",
    "runtime/bench/flops.py": NUMBERS,
    "runtime/bench/frames.py": MEASURE,
    "runtime/bench/plot.py": MEASURE,
    "runtime/bench/power.py": NUMBERS,
    "runtime/bench/report.py": MEASURE,
    "runtime/bench/roofline.py": NUMBERS,
    "runtime/bench/summary.py": NUMBERS,
    "runtime/bench/targets.py": MEASURE,
    "runtime/cuda/buffers.py": DRIVER,
    "runtime/cuda/graph.py": DRIVER,
    "runtime/cuda/libcuda.py": DRIVER,
    "runtime/doctor/cameras.py": DOCTOR,
    "runtime/doctor/gpu.py": DOCTOR,
    "runtime/doctor/jetson.py": DOCTOR,
    "runtime/doctor/machine.py": DOCTOR,
    "runtime/doctor/software.py": DOCTOR,
    "runtime/doctor/system.py": DOCTOR,
    "runtime/executors/base.py": "runtime/executors/test_cpu.py",  # an interface
    "runtime/executors/cuda_device.py": "gpu/on_driver/inside/test_tensorrt_device.py",
    "runtime/executors/gpu/executor.py": EXECUTOR,
    "runtime/executors/gpu/lending.py": "gpu/on_driver/inside/test_lending.py",
    "runtime/executors/gpu/heat.py": EXECUTOR,
    "runtime/executors/gpu/keep_warm.py": EXECUTOR,
    "runtime/executors/gpu/maps.py": EXECUTOR,
    "runtime/executors/gpu/recording.py": EXECUTOR,
    "runtime/executors/gpu/resources.py": EXECUTOR,
    "runtime/executors/gpu/slot.py": EXECUTOR,
    "runtime/imaging/image_header.py": "runtime/imaging/test_images.py",  # damaged files, read as a user reads them
    "runtime/imaging/resize.py": "runtime/imaging/test_preprocess.py",
    "runtime/kernels/layout.py": "gpu/kernels/test_layout.py",  # against the compiler's own layout
    "runtime/kernels/network_input.py": "gpu/kernels/test_preprocess.py",
    "runtime/line/backoff.py": "test_doctests.py",
    "runtime/line/capture_thread.py": LINE,
    "runtime/line/checking.py": "edgeirf/cli/test_run_line.py",
    "runtime/line/engine.py": LINE,
    "runtime/line/firing.py": LINE,
    "runtime/line/heartbeat.py": "test_doctests.py",
    "runtime/line/intake.py": LINE,
    "runtime/line/news.py": LINE,
    "runtime/line/output_threads.py": LINE,
    "runtime/line/plan.py": LINE,
    "runtime/line/publisher.py": LINE,
    "runtime/line/recording.py": LINE,
    "runtime/line/stats.py": "runtime/line/test_status.py",
    "runtime/outputs/broker.py": "runtime/outputs/test_mqtt.py",
    "runtime/outputs/output.py": "test_doctests.py",  # an interface
    "runtime/outputs/opcua_server.py": "runtime/outputs/test_opcua.py",
    "runtime/outputs/settings.py": "runtime/outputs/test_factory.py",
    "runtime/triggers/settings.py": "runtime/line/test_config.py",  # read as a table of a file
    "runtime/triggers/software.py": LINE,
    "runtime/triggers/trigger.py": "test_doctests.py",  # an interface
    "runtime/render/drawing.py": "gpu/kernels/test_overlay.py",  # the kernels' reference
    "runtime/render/page.py": PAGE,
    "runtime/selftest/checks.py": SELFTEST,
    "runtime/selftest/executor_checks.py": SELFTEST,
    "runtime/selftest/kernel_checks.py": SELFTEST,
    "runtime/selftest/record_checks.py": SELFTEST,
    "runtime/sinks/jsonl.py": SINKS,
    "runtime/sinks/rejects.py": SINKS,
    "runtime/sinks/sink.py": SINKS,
    "runtime/sinks/window.py": SINKS,
    "runtime/sources/aravis.py": "runtime/sources/test_genicam.py",  # a library's functions: on a real peer
    "runtime/sources/camera.py": "runtime/sources/test_capture.py",  # an interface
    "runtime/sources/conveyor.py": SYNTHETIC,
    "runtime/sources/frame.py": FILES,
    "runtime/sources/in_order.py": FILES,
    "runtime/sources/jpeg.py": LIVE,
    "runtime/sources/opening.py": LIVE,
    "runtime/sources/options.py": "runtime/sources/test_gstreamer.py",
    "runtime/sources/raw.py": LIVE,
    "runtime/sources/session.py": "runtime/sources/test_reconnect.py",
    "runtime/sources/v4l2.py": LIVE,
    "runtime/sources/video.py": FILES,
    "runtime/synthetic/dataset.py": SYNTHETIC,
    "runtime/synthetic/defects.py": SYNTHETIC,
    "runtime/synthetic/part.py": SYNTHETIC,
    "runtime/synthetic/render.py": SYNTHETIC,
    "runtime/tensorrt/device.py": "gpu/on_driver/inside/test_tensorrt_device.py",
    "runtime/tensorrt/engine.py": "runtime/executors/test_tensorrt.py",
    "runtime/tensorrt/provide.py": "runtime/executors/test_tensorrt.py",
    "calib/conditions/shallow.py": "calib/conditions/test_control.py",
    "calib/evaluation/evaluation.py": "calib/evaluation/test_evaluate.py",
    "calib/evaluation/masks.py": "calib/evaluation/test_samples.py",  # masks of whole layouts
    "calib/reports/conditions.py": PAGE,
    "calib/reports/model_page.py": "export/test_bundle.py",
    "calib/reports/odd_page.py": "calib/evaluation/test_odd_pictures.py",
    "calib/reports/pictures.py": PAGE,
    "calib/fresh_parts.py": "calib/test_recalibrate.py",
    "calib/recalibration_page.py": "calib/test_recalibrate.py",
    "calib/reports/tables.py": PAGE,
    "trainers/features.py": "trainers/test_timm.py",
    "trainers/noise_net.py": "trainers/test_diffusion.py",
    "trainers/pretrained.py": "trainers/test_backbone.py",
    "trainers/weights/convert.py": "trainers/test_backbone.py",  # ran once; the result is what is tested
    "export/methods/fit.py": "export/methods/test_density.py",
    "export/methods/graph.py": FUSION,
    "export/onnx/head.py": INT8,
    "export/onnx/products.py": INT8,
    "export/onnx/trace.py": FUSION,
    "export/precision/quantisers/choice.py": CANDIDATES,
    "export/precision/quantisers/modelopt.py": CANDIDATES,  # its library is large: a stand-in module
    "export/precision/quantisers/observe.py": INT8,
    "export/precision/quantisers/quantiser.py": FUSION,
    "export/precision/sensitivity.py": INT8,
    "export/precision/validation.py": CANDIDATES,
}


def sources() -> list[str]:
    """Every module of the product but ``__init__`` and ``__main__``."""
    paths = [path for top in TOPS for path in sorted((ROOT / top).rglob("*.py"))]
    return [path.relative_to(ROOT).as_posix() for path in paths if not path.name.startswith("__")]


def own_test(source: str) -> Path:
    return ROOT / "tests" / Path(source).with_name(f"test_{Path(source).name}")


@pytest.mark.parametrize("source", sources())
def test_a_module_has_its_own_test_or_says_where_it_is_tested(source: str) -> None:
    if source in TESTED_ELSEWHERE:
        assert (ROOT / "tests" / TESTED_ELSEWHERE[source]).is_file()
        assert not own_test(source).exists(), "has its own test now: take it off the list"
    else:
        assert own_test(source).is_file(), f"write {own_test(source).relative_to(ROOT)}"


def test_the_list_names_only_modules_that_exist() -> None:
    assert set(TESTED_ELSEWHERE) <= set(sources())
    assert len(sources()) > 100


def test_commands_are_tested_in_one_place() -> None:
    """A test that runs the command line lies in ``tests/edgeirf/cli``."""
    outside = [path for path in (ROOT / "tests").rglob("test_*.py") if "edgeirf/cli" not in path.as_posix()]
    inside = [path for path in outside if "CliRunner(" in path.read_text() and path != Path(__file__)]
    assert inside == []
