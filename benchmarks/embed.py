"""The standalone graph against the Python runtime: CPU time of a frame, one thread, both by turns in one process.

    python benchmarks/embed.py BUNDLE.irf [--frames 60] [--sizes 640x480,1280x1024] [--formats bgr8,gray8,...]

Each turn times one whole call of either: frame in memory to verdict. The graph gives all of its outputs but the map's
regions; the runtime's verdict has them. Both know the size of the frames, as a bundle does whose pictures had one size.
CPU time, not wall time: another program on the machine changes neither much.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from statistics import median
from time import process_time

import cv2
import numpy as np
import onnxruntime

import edgeirf
from edgeirf.bundle import Bundle
from edgeirf.export.standalone.graph import Fixed, standalone
from edgeirf.frame_contract import FrameContract
from edgeirf.runtime.imaging.pixel_format import Pixels, check_name, from_bgr
from edgeirf.runtime.synthetic.render import render
from edgeirf.settings import PixelFormat


def session(graph: bytes) -> onnxruntime.InferenceSession:
    """One thread, as the runtime's with ``threads=1``."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def frame_of(width: int, height: int, form: PixelFormat) -> Pixels:
    """A rendered part."""
    picture = cv2.resize(render(1, 0, size=max(width, height)).image, (width, height))
    return from_bgr(picture, form)


def contract_of(frame: Pixels, width: int, height: int, form: PixelFormat) -> FrameContract:
    """What the bundle knows where all of its pictures are of this kind."""
    bits = 8 * frame.itemsize
    return FrameContract(width, height, bits, 1 if form.startswith("gray") else 3, (bits,))


def measure(
    detector: edgeirf.Detector, graph: onnxruntime.InferenceSession, frame: Pixels, form: PixelFormat, frames: int
) -> tuple[float, float]:
    """Median CPU milliseconds of a frame: runtime, graph."""
    feed = {"frame": frame.view(np.uint8).reshape(*frame.shape[:2], -1)}
    calls = (lambda: detector(frame, pixel_format=form), lambda: graph.run(None, feed))
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(frames + 5):
        for call, kept in zip(calls, times, strict=True):
            start = process_time()
            call()
            if turn >= 5:
                kept.append((process_time() - start) * 1e3)
    return median(times[0]), median(times[1])


def main() -> None:
    """Prints one line a size and format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--sizes", default="640x480,1280x1024")
    parser.add_argument("--formats", default="bgr8,gray8,bgr16,bayer_rggb8,nv12")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    bundle = Bundle.read(options.bundle)
    product = bundle.manifest.products[0]
    with edgeirf.load(options.bundle, device="cpu", threads=1, product=product) as detector:
        print(
            f"{bundle.label}, {detector.model_key}, ONNX Runtime {onnxruntime.__version__}: CPU ms a frame, one thread"
        )
        key = detector.model_key
        network = bundle.member(bundle.manifest.models[key].file)
        for form in map(check_name, options.formats.split(",")):
            for width, height in (map(int, size.split("x")) for size in options.sizes.split(",")):
                frame = frame_of(width, height, form)
                detector.contract = contract_of(frame, width, height, form)
                known = replace(bundle.manifest, frame=detector.contract)
                graph = session(standalone(known, key, network, form, Fixed(product, bundle.digest)))
                runtime, own = measure(detector, graph, frame, form, options.frames)
                ratio = own / runtime
                print(f"  {form:12s} {width}x{height}: runtime {runtime:7.2f}, graph {own:7.2f}, ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
