"""Settings of GenICam cameras, on tables of features."""

from __future__ import annotations

import pytest

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.sources.sfnc import apply_settings


class Table:
    """Features as a table; what is in ``whole`` takes whole numbers only, what is in ``refused`` nothing."""

    def __init__(self, values: dict[str, str], whole: str = "", refused: str = "") -> None:
        self.values, self.whole, self.refused = values, whole.split(), refused.split()
        self.order: list[str] = []

    def has(self, name: str) -> bool:
        return name in self.values

    def get(self, name: str) -> str:
        return self.values[name]

    def set(self, name: str, value: str) -> None:
        if name in self.refused or (name in self.whole and "." in value):
            raise OSError(f"{name} is\nlocked")
        self.order.append(name)
        self.values[name] = value


def test_older_names_are_used_where_the_camera_has_no_newer_ones() -> None:
    old = Table({"ExposureTimeAbs": "1", "GainRaw": "0"}, whole="GainRaw")
    assert apply_settings(old, {"gain": "2.2", "exposure": "3000"}, "c") == [
        "gain=2.2 was asked for, the camera says 2"
    ]
    assert old.values == {"ExposureTimeAbs": "3000", "GainRaw": "2"}


def test_what_has_to_be_set_before_is_set_before() -> None:
    camera = Table(
        dict.fromkeys(["ExposureAuto", "ExposureTime", "TriggerSelector", "TriggerMode", "TriggerSource"], "x")
    )
    assert apply_settings(camera, {"trigger": "Line1", "exposure": "50"}, "c") == []
    assert camera.order == ["ExposureAuto", "ExposureTime", "TriggerSelector", "TriggerSource", "TriggerMode"]
    assert camera.values["TriggerMode"] == "On"
    apply_settings(camera, {"trigger": "off"}, "c")
    assert camera.values["TriggerMode"] == "Off"


def test_a_features_own_name_is_taken() -> None:
    camera = Table({"BlackLevel": "0"})
    apply_settings(camera, {"BlackLevel": "12"}, "c")
    assert camera.values == {"BlackLevel": "12"}


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"exposure": "1"}, "exposure=1 was asked for, ExposureTime is locked"),
        ({"gain": "1"}, "gain=1 was asked for, the camera has no Gain"),
    ],
)
def test_what_the_camera_may_round_is_said(settings: dict[str, str], line: str) -> None:
    assert apply_settings(Table({"ExposureTime": "5"}, refused="ExposureTime"), settings, "c") == [line]


@pytest.mark.parametrize("settings", [{"pixel_format": "Mono16"}, {"trigger": "Line1"}, {"width": "10"}, {"Blck": "1"}])
def test_what_decides_what_frames_show_ends_the_opening(settings: dict[str, str]) -> None:
    with pytest.raises(SourceError, match="camera c does not take "):
        apply_settings(
            Table({"PixelFormat": "Mono8", "TriggerSource": "x"}, refused="PixelFormat TriggerSource"), settings, "c"
        )


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(UsageError, match="'exposre' is not a setting; known are width, height"):
        apply_settings(Table({}), {"exposre": "1"}, "c")
