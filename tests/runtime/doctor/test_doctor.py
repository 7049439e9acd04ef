from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgeirf.runtime.doctor import Examination, Finding, System, examine

NO_TENSORRT = {"error": "tensorrt is not installed: pip install tensorrt (on a Jetson it comes with JetPack)"}
NO_PYCUDA = {"error": "pycuda is not installed: pip install pycuda (needs the CUDA toolkit)"}
SYSTEM_CV2 = "/usr/lib/python3.10/dist-packages/cv2/__init__.py"
WHEEL = {
    "version": "4.12.0",
    "gstreamer": False,
    "folder": "/home/line/.venv/lib/python3.10/site-packages/cv2",
    "numpy": "2.2.6",
    "opens": ["V4L2", "FFMPEG"],
}
NO_COMPILER = {"error": "no CUDA compiler for the kernels: pip install ..."}


def find(examination: Examination, name: str) -> Finding:
    (found,) = [f for group in examination.groups.values() for f in group if f.name == name]
    return found


def troubles(examination: Examination) -> list[Finding]:
    return [f for group in examination.groups.values() for f in group if f.status in ("warn", "fail")]


@pytest.mark.parametrize(
    ("kind", "device", "reason"),
    [
        ("plain", "onnxruntime", "there is no NVIDIA GPU"),
        ("jetson", "tensorrt", "TensorRT 10.3.0 on Orin (SM87)"),
        ("desktop", "tensorrt", "TensorRT 10.3.0 on NVIDIA RTX 4000 Ada (SM89)"),
    ],
)
def test_a_machine_in_order_has_no_troubles(
    request: pytest.FixtureRequest, kind: str, device: str, reason: str
) -> None:
    examination = examine(request.getfixturevalue(kind)())
    assert troubles(examination) == []
    assert examination.healthy
    assert (examination.device, examination.reason) == (device, reason)
    assert ("Jetson" in examination.groups) is (kind == "jetson")


@dataclass(frozen=True)
class Case:
    """A machine, what is changed of it, and what the doctor must say."""

    kind: str
    name: str
    status: str
    detail: str
    fix: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)
    without: str = ""


CASES = [
    Case("plain", "Python", "fail", "needs 3.10 or later", "python3.10 -m venv .venv", rest={"interpreter": "3.9.2"}),
    Case(
        "plain",
        "NumPy",
        "fail",
        "No module",
        "pip install --force-reinstall numpy",
        answers={"numpy": {"error": "No module named 'numpy'"}},
    ),
    Case(
        "plain",
        "OpenCV",
        "fail",
        "libGL.so.1",
        "pip install --force-reinstall opencv-python-headless",
        answers={"opencv": {"error": "libGL.so.1: cannot open shared object file"}},
    ),
    Case("jetson", "OpenCV", "ok", "in /usr/lib/python3.10/dist-packages/cv2, with NumPy 1.26.4; opens V4L2, FFMPEG"),
    Case(
        "jetson",
        "OpenCV",
        "warn",
        "no GStreamer; it hides the system's in /usr/lib/python3.10/dist-packages",
        "pip uninstall -y opencv-python opencv-python-headless opencv-contrib-python",
        files={SYSTEM_CV2: ""},
        answers={"opencv": WHEEL},
    ),
    Case("plain", "OpenCV", "ok", "no GStreamer", answers={"opencv": WHEEL}),
    Case(
        "jetson",
        "OpenCV",
        "fail",
        "No module",
        "the system's is there, and this Python does not see it: python3 -m venv --system-site-packages .venv",
        files={SYSTEM_CV2: ""},
        answers={"opencv": {"error": "No module named 'cv2'"}},
    ),
    Case(
        "jetson",
        "OpenCV",
        "fail",
        "No module",
        "sudo apt install nvidia-opencv",
        answers={"opencv": {"error": "No module named 'cv2'"}},
    ),
    Case(
        "jetson",
        "OpenCV",
        "fail",
        "_ARRAY_API not found",
        "it is built for NumPy 1: pip install 'numpy<2'",
        answers={"opencv": {"error": "_ARRAY_API not found"}},
    ),
    Case(
        "plain",
        "ONNX Runtime",
        "fail",
        "exit code -4",
        "pip install --force-reinstall onnxruntime",
        answers={"onnxruntime": {"error": "importing it crashes (exit code -4)"}},
    ),
    Case(
        "desktop",
        "ONNX Runtime",
        "warn",
        "overwrite each other",
        "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu",
        answers={
            "onnxruntime": {
                "version": "1.23",
                "providers": ["CPU"],
                "distributions": ["onnxruntime", "onnxruntime-gpu"],
            }
        },
    ),
    Case("plain", "PyTorch", "note", "only training needs it", "pip install '.[train]'"),
    Case("plain", "NVIDIA driver", "note", "no NVIDIA GPU"),
    Case("plain", "TensorRT", "note", "of no use without"),
    Case("card", "NVIDIA driver", "warn", "but no driver", "sudo ubuntu-drivers install"),
    Case(
        "card",
        "NVIDIA driver",
        "warn",
        "nouveau runs it",
        "sudo ubuntu-drivers install",
        files={"/sys/module/nouveau/x": ""},
    ),
    Case(
        "desktop",
        "NVIDIA driver",
        "warn",
        "this container may not use the GPU",
        "docker run --gpus all ...",
        files={"/.dockerenv": ""},
        without="/dev/nvidiactl",
    ),
    Case("plain", "NVIDIA driver", "ok", "Windows (WSL)", files={"/dev/dxg": ""}),
    Case(
        "desktop",
        "Card 0",
        "warn",
        "the first frame waits",
        "sudo nvidia-smi -pm 1",
        rest={"commands": {"nvidia-smi": "RTX A2000, 8.6, 570.86.15, 6138 MiB, Disabled"}},
    ),
    Case(
        "desktop",
        "GPU",
        "warn",
        "unsupported display driver",
        "sudo reboot",
        answers={
            "gpu": {"error": "the NVIDIA driver does not work (cuInit failed: system has unsupported display driver)"}
        },
    ),
    Case(
        "desktop",
        "pycuda",
        "warn",
        "not installed",
        "pip install pycuda",
        answers={"gpu": NO_PYCUDA},
        rest={"packages": {}},
    ),
    Case(
        "jetson",
        "pycuda",
        "warn",
        "not installed",
        "PATH=/usr/local/cuda/bin:$PATH pip install pycuda",
        answers={"gpu": NO_PYCUDA},
        rest={"packages": {}},
    ),
    Case(
        "jetson",
        "pycuda",
        "warn",
        "the CUDA toolkit, which is missing",
        "sudo apt install nvidia-jetpack",
        answers={"gpu": NO_PYCUDA},
        rest={"packages": {}},
        without="/usr/local/cuda/bin/nvcc",
    ),
    Case(
        "desktop",
        "TensorRT",
        "warn",
        "not installed",
        "pip install 'edgeirf[tensorrt-cu12]'",
        answers={"tensorrt": NO_TENSORRT},
    ),
    Case(
        "jetson",
        "TensorRT",
        "warn",
        "this virtual environment does not see it",
        "python3 -m venv --system-site-packages .venv",
        files={"/usr/lib/python3.10/dist-packages/tensorrt/__init__.py": ""},
        answers={"tensorrt": NO_TENSORRT},
    ),
    Case(
        "jetson",
        "TensorRT",
        "warn",
        "not installed",
        "sudo apt install nvidia-jetpack",
        answers={"tensorrt": NO_TENSORRT},
    ),
    Case(
        "desktop",
        "TensorRT",
        "warn",
        "TensorRT 11.4.0 is built for CUDA 13, the driver is of CUDA 12",
        "pip uninstall -y tensorrt && pip install tensorrt-cu12",
        answers={
            "tensorrt": {
                "error": "TensorRT 11.4.0 is built for CUDA 13, the driver is of CUDA 12: "
                "pip uninstall -y tensorrt && pip install tensorrt-cu12"
            }
        },
    ),
    Case(
        "desktop",
        "TensorRT",
        "warn",
        "8.6.1 is too old",
        "pip install --upgrade tensorrt-cu12",
        answers={"tensorrt": {"error": "TensorRT 8.6.1 is too old: 10.3 or later is needed"}},
    ),
    Case(
        "desktop",
        "TensorRT",
        "warn",
        "libnvinfer.so.10",
        "pip install --force-reinstall tensorrt-cu12",
        answers={
            "tensorrt": {
                "error": "tensorrt is installed but its libraries do not load (libnvinfer.so.10: no such file)"
            }
        },
    ),
    Case(
        "desktop",
        "CUDA compiler",
        "ok",
        "PTX from the wheel",
        answers={"compiler": NO_COMPILER},
    ),
    Case("jetson", "Board", "ok", "NVIDIA Jetson Orin Nano Developer Kit"),
    Case("jetson", "JetPack", "ok", "6 (L4T 36.4.3)"),
    Case("jetson", "JetPack", "ok", "6.2.1 (L4T 36.4.3)", rest={"commands": {"dpkg-query": "6.2.1+b38"}}),
    Case(
        "jetson", "JetPack", "ok", "7 (L4T 38.2.1)", files={"/etc/nv_tegra_release": "# R38 (release), REVISION: 2.1"}
    ),
    Case(
        "jetson", "JetPack", "ok", "unknown (L4T 41", files={"/etc/nv_tegra_release": "# R41 (release), REVISION: 1.0"}
    ),
    Case(
        "jetson",
        "JetPack",
        "warn",
        "older than 10.3",
        files={"/etc/nv_tegra_release": "# R35 (release), REVISION: 4.1"},
    ),
    Case("jetson", "JetPack", "note", "unknown", files={"/etc/nv_tegra_release": "?"}),
    Case(
        "jetson",
        "GPU access",
        "warn",
        "may not use the GPU",
        "sudo usermod -aG video,render $USER",
        rest={"unusable": frozenset({"nvmap"})},
    ),
    Case("jetson", "Power mode", "ok", "MAXN_SUPER"),
    Case(
        "jetson",
        "Power mode",
        "warn",
        "15W; MAXN_SUPER is faster",
        "sudo nvpmodel -m 2",
        files={"/var/lib/nvpmodel/status": "pmode:0000"},
    ),
    Case(
        "jetson",
        "Power mode",
        "warn",
        "25W; MAXN_SUPER is faster",
        "sudo nvpmodel -m 2",
        files={"/var/lib/nvpmodel/status": ""},
        rest={"commands": {"nvpmodel": "NV Power Mode: 25W\n1"}},
    ),
    Case("jetson", "Power mode", "note", "unknown", files={"/var/lib/nvpmodel/status": ""}),
    Case("jetson", "Power mode", "ok", "mode 2", files={"/etc/nvpmodel.conf": ""}),
    Case("jetson", "GPU clock", "ok", "locked at 1020 MHz"),
    Case(
        "jetson",
        "GPU clock",
        "warn",
        "varies between 306 and 1020 MHz",
        "sudo jetson_clocks",
        files={"/sys/class/devfreq/17000000.gpu/min_freq": "306000000"},
    ),
    Case("plain", "Processor", "ok", "Intel(R) Core(TM) i7-12700, 6 cores to use, AVX2, VNNI"),
    Case(
        "plain",
        "CPU clock",
        "warn",
        "lowest clock",
        "sudo cpupower frequency-set -g performance",
        files={"/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave"},
    ),
    Case("plain", "Memory", "ok", "11.4 GB of 15.3 GB free"),
    Case(
        "plain",
        "Memory",
        "warn",
        "293 MB of 3.8 GB",
        files={"/proc/meminfo": "MemTotal: 4000000 kB\nMemAvailable: 300000 kB"},
    ),
    Case("plain", "Disk", "ok", "50.0 GB free"),
    Case("plain", "Disk", "warn", "954 MB free", rest={"free": 10**9}),
    Case("plain", "Camera", "note", "none on USB or CSI"),
    Case(
        "plain",
        "Camera 0",
        "ok",
        "UVC Camera",
        files={"/dev/video0": "", "/sys/class/video4linux/video0/name": "UVC Camera"},
    ),
    Case("plain", "Camera 2", "ok", "a camera", files={"/dev/video2": ""}),
    Case("plain", "genicam", "note", "needs Aravis", fix="sudo apt install libaravis-0.8-0"),
    Case("plain", "genicam", "ok", "by Aravis", files={"/usr/lib/aarch64-linux-gnu/libaravis-0.8.so.0": ""}),
    Case("plain", "v4l2, rtsp, http", "ok", "by OpenCV"),
    Case(
        "plain",
        "Camera 0",
        "warn",
        "UVC Camera: this user may not open /dev/video0",
        "sudo usermod -aG video $USER",
        files={"/dev/video0": "", "/sys/class/video4linux/video0/name": "UVC Camera"},
        rest={"unusable": frozenset({"video0"})},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.name}-{case.status}")
def test_what_is_found(request: pytest.FixtureRequest, case: Case) -> None:
    system = request.getfixturevalue(case.kind)(case.files, case.answers, **case.rest)
    if case.without:
        system.path(case.without).unlink()
    found = find(examine(system), case.name)
    assert (found.status, found.fix) == (case.status, case.fix)
    assert case.detail in found.detail
    assert "\n" not in found.detail


def test_intels_powersave_is_no_brake(plain: Callable[..., Any]) -> None:
    folder = "/sys/devices/system/cpu/cpu0/cpufreq"
    files = {f"{folder}/scaling_governor": "powersave", f"{folder}/scaling_driver": "intel_pstate"}
    assert troubles(examine(plain(files))) == []


def test_a_cameras_metadata_node_is_no_camera(plain: Callable[..., Any]) -> None:
    files = {"/dev/video0": "", "/dev/video1": "", "/sys/class/video4linux/video1/index": "1"}
    assert [f.name for f in examine(plain(files)).groups["Cameras"]] == ["Camera 0"]


@pytest.mark.parametrize(
    ("answers", "reason"),
    [({"gpu": NO_PYCUDA}, "pycuda is not installed"), ({"tensorrt": NO_TENSORRT}, "tensorrt is not installed")],
)
def test_why_auto_is_the_cpu(desktop: Callable[..., Any], answers: dict[str, Any], reason: str) -> None:
    examination = examine(desktop({}, answers))
    assert examination.device == "onnxruntime"
    assert reason in examination.reason
    assert examination.healthy  # slow is not broken


def test_the_cache(plain: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "engines"
    assert find(examine(plain()), "Engine cache").detail == f"{folder}, empty"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "a.engine").write_bytes(b"x" * 3 * 1024**2)
    assert find(examine(plain()), "Engine cache").detail == f"{folder}, 1 engine, 3 MB"
    folder.chmod(0o777)
    found = find(examine(plain()), "Engine cache")
    assert (found.status, found.fix) == ("warn", f"rm -r {folder}")


def test_json_holds_everything(jetson: Callable[..., Any]) -> None:
    examination = examine(jetson({"/var/lib/nvpmodel/status": "pmode:0001"}))
    data = json.loads(json.dumps(examination.to_json()))
    assert (data["healthy"], data["device"]) == (True, "tensorrt")
    assert len(data["findings"]) == sum(len(group) for group in examination.groups.values())
    assert {
        "group": "Jetson",
        "name": "Power mode",
        "status": "warn",
        "detail": "25W; MAXN_SUPER is faster if the power supply and the cooling allow it",
        "fix": "sudo nvpmodel -m 2",
    } in data["findings"]


def test_this_very_machine() -> None:
    """Whatever it is: the libraries of the test run are there."""
    examination = examine()
    assert examination.healthy
    assert find(examination, "Python").detail.startswith(sys.version.split()[0])


def test_a_library_that_crashes_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert System().probe("numpy") == {"error": "importing it crashes (exit code 1)"}


def test_commands_that_are_missing_or_fail_say_nothing() -> None:
    system = System()
    assert (system.run("no-such-command"), system.run("false"), system.run("echo", "a b")) == ("", "", "a b")
