"""Nothing secret of an address is shown, however it is written."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgeirf.errors import EdgeirfError
from edgeirf.runtime.sources import open_source
from edgeirf.runtime.sources.address import shown, without_secrets

SECRET = "Zq7xw"


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("rtsp://10.0.0.5:554/Streaming/Channels/101", "rtsp://10.0.0.5:554/Streaming/Channels/101"),
        ("rtsp://cam/cam/realmonitor?channel=1&subtype=0", "rtsp://cam/cam/realmonitor?channel=1&subtype=0"),
        ("rtsp://admin:Zq7xw@cam.local/h264/ch1/main", "rtsp://cam.local/h264/ch1/main"),
        ("RTSP://Zq7xw@[fe80::1]:554/live", "rtsp://[fe80::1]:554/live"),
        ("http://cam/video.cgi?user=a&pwd=Zq7xw&channel=2", "http://cam/video.cgi?channel=2&..."),
        ("http://cam/Zq7xw/stream1", "http://cam/.../stream1"),
        ("rtsp://cam/user=admin&password=Zq7xw&channel=1", "rtsp://cam/..."),
        ("rtsp://cam/live#Zq7xw", "rtsp://cam/live"),
        ("rtsp://admin:Zq7/xw@cam/live", "rtsp://..."),
        ("rtsp://admin:Zq7?xw@cam/live", "rtsp://..."),
        ("rtsp://admin:Zq7#xw@cam/live", "rtsp://..."),
        ("rtsp://admin:Zq7[xw@cam/live", "rtsp://cam/live"),
        ("rtsp://admin:Zq7@xw@cam/live", "rtsp://cam/live"),
        ("http://cam/video?pwd=Zq7@xw", "http://..."),
        ("rtsp:/admin:Zq7xw@cam/live", "rtsp://cam/live"),
        ("admin:Zq7xw@cam/live", "..."),
        ("gst:rtspsrc location=rtsp://a:Zq7xw@cam user-pw=Zq7xw ! decodebin", "gst:rtspsrc ... ! decodebin"),
        ('gst:rtspsrc user-pw="Zq7 ! Zq7xw ! x" ! decodebin', "gst:rtspsrc ... ! decodebin"),
        (
            "gst:v4l2src device=/dev/video0 ! video/x-raw,width=640",
            "gst:v4l2src device=/dev/video0 ! video/x-raw,width=640",
        ),
        ("0?width=1920", "0?width=1920"),
        ("v4l2:///dev/video0", "v4l2:///dev/video0"),
        ("test://?seed=1&defects=0.2", "test://?seed=1&defects=0.2"),
        ("parts/2024/*.png", "parts/2024/*.png"),
        ("C:/parts", "C:/parts"),
    ],
)
def test_what_is_shown(address: str, wanted: str) -> None:
    assert shown(address) == wanted


STREAMS = ("rtsp://", "rtsps://", "http://", "HTTPS://", "rtmp://", "tcp://", "ftp://", "rtsp:/", " rtsp://")
ODD = st.text("/?#[]@:&=%! \\'\"\u202e\x1b\n;,$", max_size=4)
PLACES = (
    "{scheme}user:{secret}@cam:554/live",
    "{scheme}{secret}@cam/live",
    "{scheme}cam/live?user=admin&pwd={secret}",
    "{scheme}cam/live?{secret}",
    "{scheme}cam/user=admin_password={secret}_channel=1",
    "{scheme}cam/{secret}/live",
    "{scheme}cam/live#{secret}",
    "{scheme}user:{secret}/live",
    "user:{secret}@cam/live",
    *[f"{kind}://user:{{secret}}@cam" for kind in ("genicam", "csi", "test", "v4l2", "file")],
    *[f"{kind}://0?pwd={{secret}}" for kind in ("genicam", "csi", "v4l2")],
)


@given(st.sampled_from(STREAMS), st.sampled_from(PLACES), ODD, ODD, ODD)
@example("rtsp://", PLACES[0], "", "/", "@")
def test_no_secret_is_ever_shown(scheme: str, place: str, before: str, between: str, after: str) -> None:
    secret = f"{before}{SECRET[:3]}{between}{SECRET[3:]}{after}"
    if "@cam" not in place and "?" not in place:
        secret = secret.replace("@", "")  # without a host behind it, what follows an @ is the host
    text = shown(place.format(scheme=scheme, secret=secret))
    assert not re.search(f"{SECRET[:3]}|{SECRET[3:]}", text)
    assert text.isprintable()


@pytest.mark.parametrize("character", [*"/?#[]@:%& \x1bé"])
@pytest.mark.parametrize("place", PLACES)
def test_no_error_shows_a_secret(place: str, character: str) -> None:
    if place == PLACES[7] and character == "@":
        return  # what follows an @ is the host
    address = place.format(scheme="tcp://", secret=f"Zq7{character}xw").replace("@cam", "@127.0.0.1:9")
    with pytest.raises(EdgeirfError) as caught:
        open_source(address.replace("//cam", "//127.0.0.1:9"), timeout=0.2)
    assert "Zq7" not in str(caught.value)
    assert "xw" not in str(caught.value)


def test_a_librarys_message_loses_the_address() -> None:
    address = "rtsp://admin:Zq7xw@cam/live"
    assert without_secrets(f"cannot open '{address}' (admin:Zq7xw@cam/live)", address).count("Zq7xw") == 0
