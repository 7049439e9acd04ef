"""What precisions and executors gain on the CPU: every graph of a bundle, turn by turn in one process.

    python benchmarks/precision.py BUNDLE.irf [--runs 200] [--threads 1,2] [--layers]

Each graph runs in ONNX Runtime, and in OpenVINO where it is installed. ``--layers`` also compares the layers of the
INT8 graph with the same graph computed in float, rounding and clipping where the graph says so: a layer is named where
an executor's value differs by more than 1 % of its size. Processors without VNNI saturate sums of INT8 products.
"""

from __future__ import annotations

import argparse
import importlib.util
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from edgeirf.bundle import Bundle
from edgeirf.runtime.executors.base import Network
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.runtime.executors.openvino import OpenVinoNetwork

WARM_UP = 20
NOTED = 0.01
Array = NDArray[np.float32]


def main() -> None:
    """Prints p50 and the ratio to fp32 in ONNX Runtime for each graph, executor and thread count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--layers", action="store_true", help="compare the layers of the INT8 graph")
    arguments = parser.parse_args()
    bundle = Bundle.read(arguments.bundle)
    settings = bundle.manifest.preprocess
    shape = (settings.tiles[0] * settings.tiles[1], 3, *settings.size)
    batch = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    graphs = {
        key: bundle.member(model.file)
        for key, model in bundle.manifest.models.items()
        if model.family in ("any", "onnxruntime")
    }
    for threads in map(int, arguments.threads.split(",")):
        show_times(graphs, batch, threads, arguments.runs)
    if arguments.layers and "int8" in graphs:
        golden = bundle.golden["images"].astype(np.float32)[0]
        mean, std = (np.array(values, np.float32)[:, None, None] for values in (settings.mean, settings.std))
        picture = (golden.transpose(0, 3, 1, 2) / (2**settings.bits - 1) - mean) / std
        show_layers(graphs["int8"], picture.astype(np.float32))


def networks(graphs: dict[str, bytes], threads: int, tiles: int) -> dict[tuple[str, str], Network]:
    """Every graph in every executor."""
    found: dict[tuple[str, str], Network] = {}
    for key, graph in graphs.items():
        found[key, "onnxruntime"] = OnnxRuntimeNetwork(graph, threads)
        if importlib.util.find_spec("openvino") is not None:
            found[key, "openvino"] = OpenVinoNetwork(graph, threads, tiles)
    return found


def show_times(graphs: dict[str, bytes], batch: Array, threads: int, runs: int) -> None:
    """One line a graph and executor."""
    opened = networks(graphs, threads, len(batch))
    times: dict[tuple[str, str], list[float]] = {place: [] for place in opened}
    for _ in range(WARM_UP + runs):
        for place, network in opened.items():
            start = perf_counter()
            network.run(batch)
            times[place].append((perf_counter() - start) * 1e3)
    p50 = {place: median(values[WARM_UP:]) for place, values in times.items()}
    for (key, executor), value in p50.items():
        own, reference = p50[key, "onnxruntime"], p50["fp32", "onnxruntime"]
        text = f"{reference / value:.2f}x of fp32's speed, {own / value:.2f}x of ONNX Runtime's"
        print(f"{threads} threads  {key:6} {executor:11}  p50 {value:6.2f} ms  {text}")


def show_layers(graph: bytes, batch: Array) -> None:
    """Names the layers whose values differ between the executors, in the order of computation."""
    import onnx

    model = onnx.load_from_string(graph)
    layers = {node.output[0]: node for node in model.graph.node if node.op_type in ("Conv", "MatMul", "Gemm")}
    field = model.graph.output[0].name
    for name in layers:
        if name != field:
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    graph = model.SerializeToString()
    names = [output.name for output in model.graph.output]
    expected = outputs_of_onnx_runtime(graph, batch, fuse_int8=False)
    found = {"onnxruntime": outputs_of_onnx_runtime(graph, batch), "openvino": outputs_of_openvino(graph, batch)}
    noted = dict.fromkeys(found, 0)
    order = [*(name for name in layers if name != field), field]
    for index in map(names.index, order):
        errors = {executor: difference(values[index], expected[index]) for executor, values in found.items()}
        for executor, error in errors.items():
            noted[executor] += error > NOTED
        if max(errors.values()) > NOTED or names[index] == field:
            place = "field" if names[index] == field else layers[names[index]].name
            print(f"{place}: " + ", ".join(f"{executor} {error:.2%}" for executor, error in errors.items()))
    for executor, count in noted.items():
        print(f"{executor}: {count} of {len(order)} values differ by more than {NOTED:.0%} of their size")


def difference(found: Array, expected: Array) -> float:
    """Root mean square of the difference, as a share of the expected one."""
    error, size = (float(np.mean(np.square(v, dtype=np.float64))) ** 0.5 for v in (found - expected, expected))
    return error / max(size, 1e-12)


def outputs_of_onnx_runtime(graph: bytes, batch: Array, *, fuse_int8: bool = True) -> list[Array]:
    """Every output of the graph; without fusing, INT8 is computed in float as the graph has it."""
    session = OnnxRuntimeNetwork(graph, 1, fuse_int8=fuse_int8).session
    values: list[Array] = session.run(None, {session.get_inputs()[0].name: batch})
    return values


def outputs_of_openvino(graph: bytes, batch: Array) -> list[Array]:
    """Every output of the graph."""
    request = OpenVinoNetwork(graph, 1, len(batch)).request
    request.infer([batch])
    return [request.get_output_tensor(index).data.copy() for index in range(len(request.model_outputs))]


if __name__ == "__main__":
    main()
