"""The pipelines of csi://, as text: no OpenCV here has GStreamer, and no machine here a CSI camera."""

from __future__ import annotations

import cv2
import pytest

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.sources import open_source
from edgeirf.runtime.sources.gstreamer import csi_pipeline
from edgeirf.runtime.sources.options import split_query

SINK = "appsink drop=true max-buffers=1 sync=false"


def test_a_csi_camera_is_a_pipeline_of_argus() -> None:
    assert csi_pipeline("csi://0") == (
        "nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM),width=1920,height=1080,framerate=30/1,format=NV12 ! "
        f"nvvidconv flip-method=0 ! video/x-raw,format=BGRx ! videoconvert ! video/x-raw,format=BGR ! {SINK}"
    )


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("csi://1?exposure=4000", 'sensor-id=1 exposuretimerange="4000000 4000000" !'),
        ("csi://0?gain=2.5", 'gainrange="2.5 2.5" ispdigitalgainrange="1 1" !'),
        ("csi://0?exposure=100&gain=1", "aelock=true !"),
        (
            "csi://0?width=1280&height=720&fps=60&flip=2",
            "width=1280,height=720,framerate=60/1,format=NV12 ! nvvidconv flip-method=2",
        ),
    ],
)
def test_settings_of_a_csi_camera(text: str, part: str) -> None:
    assert part in csi_pipeline(text)


def test_nv12_is_not_converted() -> None:
    assert csi_pipeline("csi://0", "nv12").endswith(f"nvvidconv flip-method=0 ! video/x-raw,format=NV12 ! {SINK}")


@pytest.mark.parametrize(
    "text", ["csi://", "csi://a", "csi://0?flop=1", "csi://0?exposure=1%20!%20x", "csi://0?fps=-1"]
)
def test_what_is_no_csi_camera_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"write csi://0 to csi://9"):
        csi_pipeline(text)


def test_a_setting_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="twice"):
        split_query("csi://0?fps=1&fps=2")


def test_an_opencv_without_gstreamer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda backend: False)
    with pytest.raises(SourceError, match="has no GStreamer"):
        open_source("csi://0")
