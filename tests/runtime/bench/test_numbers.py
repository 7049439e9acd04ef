"""Percentiles, power meters, operation counts and bounds."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeirf.errors import BackendError, UsageError
from edgeirf.runtime.bench import flops, roofline
from edgeirf.runtime.bench.power import PowerMeter, watts_of
from edgeirf.runtime.bench.summary import by_stage, summarise


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(v) for v in range(1, 1001)]
    assert summarise(values) == {"p50_ms": 501.0, "p95_ms": 951.0, "p99_ms": 991.0, "p999_ms": 1000.0, "max_ms": 1000.0}
    assert set(summarise([7.0]).values()) == {7.0}
    assert set(summarise([1.0, 9.0]).values()) <= {1.0, 9.0}


def test_stages_keep_their_order_and_need_not_be_in_every_frame() -> None:
    stages = by_stage([{"network": 2.0, "total": 3.0}, {"upload": 1.0, "network": 4.0, "total": 5.0}])
    assert list(stages) == ["network", "total", "upload"]
    assert stages["network"]["max_ms"] == 4.0
    assert stages["upload"]["p50_ms"] == 1.0


ORIN = (
    "RAM 3391/7620MB (lfb 3x4MB) CPU [3%@1510] GR3D_FREQ 61% tj@48C VDD_IN 4981mW/4902mW VDD_CPU_GPU_CV 1180mW/1093mW"
)
NANO = "RAM 1000/3964MB POM_5V_IN 5204/5060 POM_5V_GPU 123/120"


@pytest.mark.parametrize(
    ("line", "source", "watts"),
    [
        (ORIN, "tegrastats", 4.981),
        (NANO, "tegrastats", 5.204),
        ("RAM 3391/7620MB", "tegrastats", None),
        ("73.41\n", "nvidia-smi", 73.41),
        ("[N/A]", "nvidia-smi", None),
    ],
)
def test_meters(line: str, source: str, watts: float | None) -> None:
    assert watts_of(line, source) == watts


def test_energy_is_power_times_time_shared_among_the_frames() -> None:
    meter = PowerMeter()
    meter.source = "nvidia-smi"
    for line in ("10", "20", "30"):
        meter.take(line)
    assert meter.joules_per_frame(seconds=2.0, frames=8) == pytest.approx(20 * 2 / 8)
    assert meter.joules_per_frame(seconds=2.0, frames=0) is None
    assert PowerMeter().joules_per_frame(2.0, 8) is None


def graph_of(nodes: list[onnx.NodeProto], weights: dict[str, tuple[int, ...]], channels: int) -> bytes:
    made = helper.make_graph(
        nodes,
        "counted",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", channels, "h", "w"])],
        [helper.make_tensor_value_info("field", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


COUNTS = {
    "convolution": (
        [helper.make_node("Conv", ["image", "w"], ["field"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])],
        {"w": (5, 4, 3, 3)},
        (1, 4, 8, 6),
        2 * 5 * 8 * 6 * 4 * 9,
        0,
        180,
    ),
    "depth-wise, two images": (
        [helper.make_node("Conv", ["image", "w", "b"], ["field"], kernel_shape=[3, 3], group=4, strides=[2, 2])],
        {"w": (4, 1, 3, 3), "b": (4,)},
        (2, 4, 9, 9),
        2 * 2 * 4 * 4 * 4 * 9,
        0,
        40,
    ),
    "matrix product": (
        [
            helper.make_node("Transpose", ["image"], ["last"], perm=[0, 2, 3, 1]),
            helper.make_node("MatMul", ["last", "w"], ["product"]),
            helper.make_node("Relu", ["product"], ["field"]),
        ],
        {"w": (4, 7)},
        (1, 4, 3, 2),
        2 * 6 * 4 * 7,
        6 * 7,
        28,
    ),
}


@pytest.mark.parametrize("name", COUNTS)
def test_operations_counted_by_hand(name: str) -> None:
    nodes, weights, shape, matrix, other, parameters = COUNTS[name]
    cost = flops.count(graph_of(nodes, weights, shape[1]), shape)
    assert (cost.matrix_flops, cost.other_flops, cost.weights) == (matrix, other, parameters)
    assert cost.inputs == np.prod(shape)
    assert cost.activations >= cost.inputs + cost.outputs


def test_a_graph_that_is_none() -> None:
    with pytest.raises(BackendError, match="refuses the graph"):
        flops.count(b"no graph", (1, 3, 8, 8))


def test_bounds_agree_with_the_arithmetic_on_paper() -> None:
    # 12 blocks of 384, one step: 12 GFLOP and 21 M parameters need 0.7 ms on an Orin Nano Super in FP16.
    cost = flops.Cost(12_000_000_000, 0, weights=21_000_000, inputs=0, outputs=0, activations=0)
    nano = roofline.bound(cost, roofline.GPUS["orin-nano-super"], "fp16")
    assert nano.milliseconds == pytest.approx(12e9 / 16.75e12 * 1e3)
    assert nano.limit == "arithmetic"
    thor = roofline.bound(cost, roofline.GPUS["thor"], "fp16")
    assert thor.milliseconds == pytest.approx(42e6 / 273e9 * 1e3)
    assert thor.limit == "bandwidth"
    int8 = roofline.bound(cost, roofline.GPUS["thor"], "int8")
    assert int8.memory_ms == pytest.approx(thor.memory_ms / 2)


def test_choosing_gpus() -> None:
    assert len(roofline.choose("all")) == 7
    assert roofline.choose("rtx-4060")[0].name == "RTX 4060"
    with pytest.raises(UsageError, match="orin-nano-super"):
        roofline.choose("h100")
