"""Arrows point one way, and a line computer needs nothing but the runtime."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Container, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ["edgeirf", "edgeirf.runtime", "edgeirf.calib", "edgeirf.trainers", "edgeirf.export", "edgeirf.cli"]
FOLDERS = {
    "edgeirf/cli": "edgeirf.cli",
    **{layer.replace("edgeirf.", ""): layer for layer in LAYERS[:5]},
}

# (folder, import) that may not occur anywhere, not even inside a function.
NEVER = [
    *((folder, "torch") for folder in ("edgeirf", "runtime", "calib")),
    *((folder, "pickle") for folder in FOLDERS),
    *((folder, "onnx") for folder in ("edgeirf", "calib")),
]
# What may be imported when a module of the folder is, apart from the standard library and edgeirf itself.
WHEN_IMPORTED = {
    "edgeirf": {"numpy"},
    "edgeirf/cli": {"typer", "rich"},
    "runtime": {"numpy", "cv2", "onnxruntime"},
    "calib": {"numpy", "cv2"},
}


def modules() -> list[tuple[str, Path]]:
    """Every module's folder (a key of FOLDERS) and path."""
    found = []
    for folder in FOLDERS:
        paths = (ROOT / folder).glob("*.py") if folder == "edgeirf" else (ROOT / folder).rglob("*.py")
        found += [(folder, path) for path in sorted(paths)]
    return found


def imports(path: Path, *, nested: bool) -> Iterator[str]:
    """Full names a module imports; with ``nested`` also those inside functions. TYPE_CHECKING blocks do not run."""
    pending: list[ast.AST] = [ast.parse(path.read_text(), str(path))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif nested or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            pending += ast.iter_child_nodes(node)


def layer_of(name: str) -> int | None:
    """Index into LAYERS of an imported name, None for other packages."""
    if name.split(".")[0] != "edgeirf":
        return None
    return max(i for i, layer in enumerate(LAYERS) if f"{name}.".startswith(f"{layer}."))


MODULES = [pytest.param(folder, path, id=str(path.relative_to(ROOT))) for folder, path in modules()]


@pytest.mark.parametrize(("folder", "path"), MODULES)
def test_imports_point_one_way(folder: str, path: Path) -> None:
    own = LAYERS.index(FOLDERS[folder])
    wrong = [name for name in imports(path, nested=True) if (layer_of(name) or 0) > own]
    if path == ROOT / "edgeirf" / "__init__.py":  # edgeirf.load is the runtime's, imported when it is first used
        wrong = [name for name in wrong if not name.startswith("edgeirf.runtime.")]
    if path == ROOT / "edgeirf" / "entry.py":
        wrong = [name for name in wrong if name != "edgeirf.cli.main"]
    assert not wrong


@pytest.mark.parametrize(("folder", "path"), MODULES)
def test_other_packages_stay_where_they_belong(folder: str, path: Path) -> None:
    tops = {name.split(".")[0] for name in imports(path, nested=True)}
    assert not tops & {package for place, package in NEVER if place == folder}
    at_once = {name.split(".")[0] for name in imports(path, nested=False)} - {"edgeirf", *sys.stdlib_module_names}
    assert at_once <= WHEN_IMPORTED.get(folder, at_once)


def module_graph() -> dict[str, set[str]]:
    """Every module of the product and the modules it imports, inside functions and for type checkers only too."""
    paths = {dotted(path): path for _, path in modules()}
    return {name: {target(i, paths) for i in every_import(path)} & {*paths} - {name} for name, path in paths.items()}


def dotted(path: Path) -> str:
    """``runtime/sinks/__init__.py`` to ``edgeirf.runtime.sinks``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "edgeirf" else ("edgeirf", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def every_import(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def target(name: str, known: Container[str]) -> str:
    """The module that an imported name is, or is in."""
    return name if name in known else name.rpartition(".")[0]


def room(module: str) -> str:
    """The first folder below the layer, with all that is in it; a module that lies in no folder is its own room."""
    layer = max((layer for layer in LAYERS if f"{module}.".startswith(f"{layer}.")), key=len)
    first = module.removeprefix(layer).lstrip(".").partition(".")[0]
    folder = FOLDER_OF[layer]
    return f"{layer}.{first}" if (ROOT / folder / first).is_dir() else module


FOLDER_OF = {layer: folder for folder, layer in FOLDERS.items()}


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """What is left when every node that imports nothing, or that nothing imports, is taken away again and again."""
    left = {node: set(targets) for node, targets in graph.items()}
    while True:
        imported = set().union(*left.values())
        ends = {node for node, targets in left.items() if not targets & {*left} or node not in imported}
        if not ends:
            return [[node, *sorted(targets & {*left})] for node, targets in sorted(left.items())]
        left = {node: targets - ends for node, targets in left.items() if node not in ends}


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert cycles(module_graph()) == []


def test_no_room_imports_itself_by_way_of_others() -> None:
    rooms: dict[str, set[str]] = {}
    for module, targets in module_graph().items():
        rooms.setdefault(room(module), set()).update({room(one) for one in targets} - {room(module)})
    assert len(rooms) > 20
    assert cycles(rooms) == []


def test_the_driver_and_the_library_do_not_know_each_other() -> None:
    for one, other in (("cuda", "tensorrt"), ("tensorrt", "cuda")):
        for module, targets in module_graph().items():
            if room(module) == f"edgeirf.runtime.{one}":
                assert not [name for name in targets if room(name) == f"edgeirf.runtime.{other}"], module


def test_cycles_are_seen() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"], ["c", "b"]]
    assert cycles({"a": {"b"}, "b": set()}) == []
    assert cycles({}) == []
    graph = module_graph()
    assert "edgeirf.runtime.executors.gpu.executor" in graph["edgeirf.runtime.executors.select"]  # in a function
    assert "edgeirf.runtime.executors.base" in graph["edgeirf.runtime.executors.select"]  # for type checkers only


def test_nothing_asks_which_executor_or_network_it_has() -> None:
    names = ("Executor", "Network", "Backend", "Chain")
    for _, path in modules():
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
                assert not any(name in ast.unparse(node.args[1]) for name in names), f"{path}:{node.lineno}"


def test_the_walk_sees_all_of_the_code() -> None:
    assert len(MODULES) > 20
    command = ROOT / "edgeirf" / "cli" / "run.py"
    assert "edgeirf.runtime.detector.load" in set(imports(command, nested=True))
    assert "edgeirf.runtime.detector.load" not in set(imports(command, nested=False))
    assert [layer_of(n) for n in ("torch", "edgeirf.errors.UsageError", "edgeirf.runtime", "edgeirf.cli.run")] == [
        None,
        0,
        1,
        5,
    ]


BLOCK = """
import sys
for name in ("torch", "tensorrt", "pycuda", "onnx", "sklearn", "scipy", "safetensors", "cuda"):
    sys.modules[name] = None  # every import of it fails from here on
"""


def python(code: str, *arguments: str) -> str:
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_line_computer_needs_only_the_runtime(tiny_path: Path) -> None:
    """A plain ``pip install edgeirf`` has numpy, OpenCV, ONNX Runtime and typer."""
    code = f"""{BLOCK}
import numpy as np
import edgeirf, edgeirf.runtime
with edgeirf.load(sys.argv[1], device="cpu") as detector:
    verdict = detector(np.full((64, 64, 3), 128, np.uint8))
    print(verdict.reject, verdict.map().shape)
"""
    assert python(code, str(tiny_path)) == "False (64, 64)\n"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["info", "BUNDLE"], ["eval", "--help"]])
def test_the_command_line_needs_only_the_runtime(tiny_path: Path, arguments: list[str]) -> None:
    code = f"{BLOCK}\nfrom edgeirf.cli import main\nmain()"
    assert python(code, *(str(tiny_path) if argument == "BUNDLE" else argument for argument in arguments))


@pytest.mark.parametrize("module", ["edgeirf", "edgeirf.cli"])
def test_importing_is_quick(module: str) -> None:
    """What takes a second to import is imported when it is first used."""
    code = f"import sys, {module}; print(*(m for m in ('cv2', 'onnxruntime', 'torch', 'sklearn') if m in sys.modules))"
    assert python(code) == "\n"
