"""Verdicts without edgeirf: the bare graph of a bundle, with ONNX Runtime and OpenCV alone.

edgeirf export bottle.irf --standalone bottle.onnx
python graph.py bottle.onnx PICTURE ...
"""

from __future__ import annotations

import sys

import cv2
import onnxruntime


def inspect(graph: str, pictures: list[str]) -> int:
    """Prints a line for each picture; returns how many parts are rejects. A picture that is not read is one."""
    session, rejects = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]), 0
    for path in pictures:
        frame = cv2.imread(path)  # (height, width, 3) BGR, as bgr8 wants it
        if frame is None:
            score, reject = float("nan"), True
        else:
            score, reject = session.run(["score", "reject"], {"frame": frame})
        rejects += bool(reject)
        print(f"{path}: {'REJECT' if reject else 'good'}, score {float(score):.6g}")
    return rejects


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python graph.py FILE.onnx PICTURE ...")
    sys.exit(min(inspect(sys.argv[1], sys.argv[2:]), 1))
