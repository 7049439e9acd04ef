"""A program that owns the camera: it takes each frame itself and asks the detector for the verdict.

Usage: python examples/host_loop.py bottle.irf 0 [FRAMES]
"""

from __future__ import annotations

import sys

import cv2

import edgeirf


def inspect(bundle: str, camera: str, frames: int | None = None) -> int:
    """Inspects the frames of a camera number or a video file.

    Args:
        bundle: the ``.irf`` file.
        camera: number of the camera, or a file.
        frames: stop after this many; None: when the camera ends.

    Returns:
        how many parts were rejected.
    """
    capture = cv2.VideoCapture(int(camera) if camera.isdecimal() else camera)
    rejects = taken = 0
    with edgeirf.load(bundle) as detector:
        while frames is None or taken < frames:
            there, frame = capture.read()
            if not there:
                break
            verdict = detector(frame, frame_id=taken).verdict
            taken += 1
            rejects += verdict.reject
            print(f"part {verdict.frame_id}: {'REJECT' if verdict.reject else 'good'}, p = {verdict.p_value:.3g}")
    capture.release()
    return rejects


if __name__ == "__main__":
    try:
        inspect(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None)
    except edgeirf.EdgeirfError as error:
        sys.exit(f"{error}")
