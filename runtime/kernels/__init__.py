"""The project's own CUDA kernels: sources, launch plans and the result's layout. Importing it needs no CUDA.

On the default path a frame costs two of them beside the network: ``preprocess_*`` and ``postprocess``. ``overlay`` runs
only when somebody wants to look. Each source is compiled by itself, C++17, with :func:`folder` on the include path; it
includes no header but its own, so NVRTC needs none either.
"""

from __future__ import annotations

from pathlib import Path

from edgeirf.runtime.kernels.launch import Launch, default_pitch, plan_overlay, plan_postprocess, plan_preprocess
from edgeirf.runtime.kernels.layout import FORMATS, RECORD_BYTES, RESULT, Real
from edgeirf.runtime.kernels.network_input import InputLayout, input_bytes, input_view
from edgeirf.runtime.kernels.result import Result, missing_regions, read_result
from edgeirf.settings import PixelFormat

SOURCES: dict[str, tuple[str, ...]] = {
    "preprocess.cu": ("preprocess_packed8", "preprocess_packed16", "preprocess_bayer8", "preprocess_nv12"),
    "postprocess.cu": ("postprocess",),
    "overlay.cu": ("overlay",),
}
"""Source file to the ``extern "C"`` kernels in it."""


def folder() -> Path:
    """Where the ``.cu`` and ``.cuh`` files are."""
    return Path(__file__).parent


def source(name: str) -> str:
    """The text of a source or header."""
    return (folder() / name).read_text(encoding="utf-8")


def headers() -> dict[str, str]:
    """Every header by the name it is included with, as NVRTC wants them."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder().glob("*.cuh"))}


__all__ = [
    "FORMATS",
    "RECORD_BYTES",
    "RESULT",
    "SOURCES",
    "InputLayout",
    "Launch",
    "PixelFormat",
    "Real",
    "Result",
    "default_pitch",
    "folder",
    "headers",
    "input_bytes",
    "input_view",
    "missing_regions",
    "plan_overlay",
    "plan_postprocess",
    "plan_preprocess",
    "read_result",
    "source",
]
