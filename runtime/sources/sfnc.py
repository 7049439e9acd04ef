"""Settings of GenICam cameras by the names of the SFNC (Standard Features Naming Convention), and by older names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.sources.options import setting_name

NAMES: dict[str, tuple[str, ...]] = {
    "width": ("Width",),
    "height": ("Height",),
    "pixel_format": ("PixelFormat",),
    "fps": ("AcquisitionFrameRate", "AcquisitionFrameRateAbs"),
    "exposure": ("ExposureTime", "ExposureTimeAbs", "ExposureTimeRaw"),
    "gain": ("Gain", "GainRaw", "GainAbs"),
    "activation": ("TriggerActivation",),
    "trigger": ("TriggerSource",),
}
"""Setting to features, in the order to set them: the first one that the camera has is used. Exposure in microseconds.
A setting that starts with a capital letter is a feature's own name."""

_BEFORE = {
    "exposure": (("ExposureAuto", "Off"), ("ExposureMode", "Timed")),
    "gain": (("GainAuto", "Off"),),
    "fps": (("AcquisitionFrameRateEnable", "true"),),
    "trigger": (("AcquisitionMode", "Continuous"), ("TriggerSelector", "FrameStart")),
}
"""Features that have to be set before, where the camera has them."""
_MAY_DIFFER = ("exposure", "gain", "fps")
"""Settings that a camera may round; any other that it does not take ends the opening."""


class Features(Protocol):
    """The features of an open camera, as text."""

    def has(self, name: str) -> bool:
        """Whether the camera has a feature."""
        ...

    def get(self, name: str) -> str:
        """The value of a feature.

        Raises:
            OSError: the camera does not answer, or does not allow it now.
        """
        ...

    def set(self, name: str, value: str) -> None:
        """Sets a feature.

        Raises:
            OSError: the camera does not take the value.
        """
        ...


def apply_settings(features: Features, settings: Mapping[str, str], name: str) -> list[str]:
    """Sets what was asked for, and reads it back.

    Args:
        features: of the camera.
        settings: keys of :data:`NAMES`, or names of features.
        name: of the camera, for messages.

    Returns:
        One line for each setting that the camera has otherwise than asked for.

    Raises:
        UsageError: there is no such setting.
        SourceError: the camera does not take a setting that decides what its frames show.
    """
    check_settings(settings, name)
    lines = []
    for key in sorted(settings, key=_place):
        wanted = settings[key]
        problem = _trigger_off(features) if (key, wanted.lower()) == ("trigger", "off") else _set(features, key, wanted)
        if problem is None:
            continue
        if key not in _MAY_DIFFER:
            raise SourceError(f"camera {name} does not take {key}={wanted}: {problem}")
        lines.append(f"{key}={wanted} was asked for, {problem}")
    return lines


def check_settings(settings: Mapping[str, str], name: str) -> None:
    """Passes settings that have a known key.

    Raises:
        UsageError: there is no such setting.
    """
    for key in settings:
        if key not in NAMES and not re.fullmatch(r"[A-Z]\w+", key):
            known = ", ".join(NAMES)
            raise UsageError(
                f"camera {name}: {setting_name(key)} is not a setting; known are {known}, and features by name"
            )


def _place(key: str) -> int:
    return list(NAMES).index(key) if key in NAMES else -1


def _set(features: Features, key: str, wanted: str) -> str | None:
    """Sets one setting; what is wrong with it, None when nothing is."""
    feature = next((each for each in NAMES.get(key, (key,)) if features.has(each)), None)
    if feature is None:
        return f"the camera has no {NAMES.get(key, (key,))[0]}"
    try:
        for other, value in _BEFORE.get(key, ()):
            if features.has(other) and features.get(other) != value:
                features.set(other, value)
        _set_number(features, feature, wanted)
        if key == "trigger":
            features.set("TriggerMode", "On")
        has = features.get(feature)
    except OSError as error:
        return " ".join(str(error).split())
    return None if _same(wanted, has) else f"the camera says {has}"


def _set_number(features: Features, feature: str, wanted: str) -> None:
    """Sets a feature; a camera that counts in whole steps gets the nearest one."""
    try:
        features.set(feature, wanted)
    except OSError:
        if not re.fullmatch(r"\d+\.\d+", wanted):
            raise
        features.set(feature, str(round(float(wanted))))


def _trigger_off(features: Features) -> str | None:
    try:
        if features.has("TriggerMode"):
            features.set("TriggerMode", "Off")
    except OSError as error:
        return " ".join(str(error).split())
    return None


def _same(wanted: str, has: str) -> bool:
    try:
        return abs(float(has) - float(wanted)) <= abs(float(wanted)) / 100
    except ValueError:
        return has.lower() == wanted.lower()
