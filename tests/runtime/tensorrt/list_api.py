"""Writes what TensorRT's Python bindings offer, release by release, to ``api/``: ``python list_api.py [VERSION ...]``.

The bindings are small wheels of their own, which import over empty libraries: neither the 1 GB of TensorRT nor a GPU is
needed, only pip, unzip-ed wheels and gcc. Run it when a release is added to ``VERSIONS``; the tests read the listings.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

VERSIONS = ("10.3.0", "10.16.1.11", "11.4.0.106")
FOLDER = Path(__file__).with_name("api")

STUB = """
void *createInferBuilder_INTERNAL(void *logger, int version) { return 0; }
void *createInferRefitter_INTERNAL(void *engine, void *logger, int version) { return 0; }
void *createInferRuntime_INTERNAL(void *logger, int version) { return 0; }
void *createNvOnnxParser_INTERNAL(void *network, void *logger, int version) { return 0; }
void *createNvOnnxParserRefitter_INTERNAL(void *refitter, void *logger, int version) { return 0; }
void *getBuilderPluginRegistry(int capability) { return 0; }
void *getPluginRegistry(void) { return 0; }
void *getLogger(void) { return 0; }
int getInferLibVersion(void) { return 0; }
int getNvOnnxParserVersion(void) { return 0; }
_Bool initLibNvInferPlugins(void *logger, const char *scope) { return 0; }
"""


def listing(module: ModuleType) -> str:
    """One line a class, ``Builder: build_serialized_network create_network ...``; plain functions on the first line."""
    members = {name: value for name, value in inspect.getmembers(module) if not name.startswith("_")}
    lines = [": ".join(("", " ".join(name for name, value in members.items() if not inspect.isclass(value))))]
    for name, value in members.items():
        if inspect.isclass(value):
            lines += _class_lines(name, value)
    return "\n".join(lines) + "\n"


def _class_lines(name: str, kind: type) -> list[str]:
    members = {n: v for n, v in inspect.getmembers(kind) if not n.startswith("_") and n not in ("mro", "name", "value")}
    nested = [line for n, v in members.items() if inspect.isclass(v) for line in _class_lines(f"{name}.{n}", v)]
    named = ["name"] if hasattr(kind, "name") and not hasattr(kind, "__members__") else []
    return [f"{name}: {' '.join([*members, *named])}".rstrip(), *nested]


def download(version: str, folder: Path) -> None:
    """Unpacks the bindings of a release into ``folder`` and puts the libraries they are linked to in ``folder/lib``."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*pip, f"tensorrt-cu12-bindings=={version}"], check=True)
    with ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    (folder / "lib").mkdir()
    (folder / "stub.c").write_text(STUB)
    for name in ("nvinfer", "nvonnxparser", "nvinfer_plugin"):
        library = f"lib{name}.so.{version.split('.')[0]}"
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-o", folder / "lib" / library, folder / "stub.c", f"-Wl,-soname,{library}"],
            check=True,
        )


def main(versions: list[str]) -> None:
    """Writes one listing a version; each in a process of its own, for the bindings cannot be imported twice."""
    for version in versions or VERSIONS:
        with tempfile.TemporaryDirectory() as folder:
            download(version, Path(folder))
            environment = {**os.environ, "LD_LIBRARY_PATH": f"{folder}/lib", "PYTHONPATH": folder}
            code = "import sys; sys.path.append(sys.argv[1]); import list_api, tensorrt_bindings as t; "
            code += "print(list_api.listing(t), end='')"
            command = [sys.executable, "-c", code, str(Path(__file__).parent)]
            text = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        (FOLDER / f"tensorrt-{version}.txt").write_text(text)
        print(f"{version}: {len(text.splitlines())} classes")


if __name__ == "__main__":
    main(sys.argv[1:])
