"""Every name of TensorRT's that the code uses exists in every release it claims to run with.

The code annotates each TensorRT object it holds (``network: trt.INetworkDefinition = ...``); from that the names in use
are found, and looked up in listings of the real bindings (``list_api.py`` writes them).
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
from pathlib import Path

import pytest

from edgeirf.runtime.tensorrt import builder
from edgeirf.runtime.tensorrt.library import Library

SOURCES = sorted(Path(inspect.getfile(builder)).parent.glob("*.py"))
LISTINGS = sorted((Path(__file__).parent / "api").glob("*.txt"))
MODULE = ""

# Used for TensorRT-RTX alone.
RTX_ONLY = {
    ("", "ComputeCapability"),
    ("IBuilderConfig", "num_compute_capabilities"),
    ("IBuilderConfig", "set_compute_capability"),
    ("", "DynamicShapesKernelSpecializationStrategy"),
    ("BuilderFlag", "REQUIRE_USER_ALLOCATION"),
    ("DynamicShapesKernelSpecializationStrategy", "EAGER"),
    ("ICudaEngine", "create_runtime_config"),
    ("IExecutionContext", "is_stream_capturable"),
    ("IRuntimeCache", "deserialize"),
    ("IRuntimeCache", "serialize"),
    ("IRuntimeConfig", "create_runtime_cache"),
    ("IRuntimeConfig", "dynamic_shapes_kernel_specialization_strategy"),
    ("IRuntimeConfig", "set_runtime_cache"),
}

Use = tuple[str, str]


class Uses(ast.NodeVisitor):
    """Collects ``(class, attribute)`` of what one file uses of TensorRT; the module's own names have class ``""``.

    Attributes:
        found: what is used.
        untyped: lines that use the result of a TensorRT call without saying of which class it is.
    """

    def __init__(self) -> None:
        self.found: set[Use] = set()
        self.untyped: list[int] = []
        self._types: dict[str, str] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        outer = dict(self._types)
        for argument in (*node.args.args, *node.args.kwonlyargs):
            self._declare(argument.arg, argument.annotation)
        self.generic_visit(node)
        self._types = outer

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for base in node.bases:
            kind = self._resolve(base)
            if kind is not None:  # a class of ours that TensorRT calls: its methods must be those TensorRT calls
                own = {item.name for item in node.body if isinstance(item, ast.FunctionDef)} - {"__init__", "start"}
                self.found |= {(kind, method) for method in own}
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._declare(node.target.id, node.annotation)
        if node.value is not None:
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        kind = self._resolve(node.value)
        if kind is not None and isinstance(node.targets[0], ast.Name):
            self._types[node.targets[0].id] = kind
        elif isinstance(node.value, ast.Call) and self._is_tensorrt_call(node.value):
            self.untyped.append(node.lineno)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in ("hasattr", "getattr") and len(node.args) > 1:
            kind, name = self._resolve(node.args[0]), node.args[1]
            if kind is not None and isinstance(name, ast.Constant) and not str(name.value).startswith("__"):
                self.found.add((kind, str(name.value)))
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        kind = self._resolve(node.value)
        if kind is not None and not node.attr.startswith("__"):
            self.found.add((kind, node.attr))
        if isinstance(node.value, ast.Call) and self._is_tensorrt_call(node.value):
            self.untyped.append(node.lineno)
        self.generic_visit(node)

    def _is_tensorrt_call(self, node: ast.Call) -> bool:
        return isinstance(node.func, ast.Attribute) and self._resolve(node.func.value) is not None

    def _declare(self, name: str, annotation: ast.expr | None) -> None:
        if isinstance(annotation, ast.BinOp):  # trt.X | None
            annotation = annotation.left
        kind = None if annotation is None else self._resolve(annotation)
        self._types.pop(name, None)
        if kind is not None:
            self._types[name] = kind

    def _resolve(self, node: ast.expr) -> str | None:
        """The class an expression stands for or is an object of; ``""`` for the module; None for anything else."""
        if isinstance(node, ast.Name):
            return MODULE if node.id == "trt" else self._types.get(node.id)
        if isinstance(node, ast.Attribute):
            if node.attr == "trt":  # library.trt
                return MODULE
            parent = self._resolve(node.value)
            if parent is not None and node.attr[0].isupper() and not node.attr.isupper():
                return f"{parent}.{node.attr}".lstrip(".")
        return None


def uses(source: str) -> Uses:
    found = Uses()
    found.visit(ast.parse(source))
    return found


def all_uses() -> set[Use]:
    return set().union(*(uses(path.read_text()).found for path in SOURCES))


def read_listing(text: str) -> dict[str, set[str]]:
    lines = (line.partition(":") for line in text.splitlines())
    members = {name: set(rest.split()) for name, _, rest in lines}
    members[MODULE] |= {name for name in members if "." not in name}
    return members


def missing(wanted: set[Use], members: dict[str, set[str]]) -> list[str]:
    return [f"{kind or 'tensorrt'}.{name}" for kind, name in sorted(wanted) if name not in members.get(kind, ())]


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda path: path.stem)
def test_every_name_exists(listing: Path) -> None:
    assert not missing(all_uses() - RTX_ONLY, read_listing(listing.read_text()))


def test_every_name_exists_in_rtx(rtx: Library) -> None:
    spec = importlib.util.spec_from_file_location("list_api", Path(__file__).with_name("list_api.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    members = read_listing(module.listing(rtx.trt))
    assert not missing(all_uses(), members)


def test_every_object_says_its_class() -> None:
    assert {path.name: uses(path.read_text()).untyped for path in SOURCES} == {path.name: [] for path in SOURCES}


def test_the_releases_differ_where_it_matters() -> None:
    """What a listing is good for: INT8 calibrators are gone in 11, ``metadata`` is in all."""
    found = {path.stem: read_listing(path.read_text()) for path in LISTINGS}
    assert list(found) == ["tensorrt-10.16.1.11", "tensorrt-10.3.0", "tensorrt-11.4.0.106"]
    assert "INT8" in found["tensorrt-10.3.0"]["BuilderFlag"]
    assert "INT8" not in found["tensorrt-11.4.0.106"]["BuilderFlag"]
    assert all("metadata" in members["ILayer"] for members in found.values())


def test_the_exceptions_are_in_use() -> None:
    assert all_uses() >= RTX_ONLY


@pytest.mark.parametrize(
    ("source", "absent"),
    [
        ("def f(b: trt.Builder): b.max_workspace_size = 1", ["Builder.max_workspace_size"]),
        ("def f(library): library.trt.BuilderFlag.FP16", ["BuilderFlag.FP16"]),
        ("def f(library):\n kinds = library.trt.LayerType\n kinds.CONV", ["LayerType.CONV"]),
        ("def f(c):\n e: trt.ICudaEngine | None = c\n e.get_binding_shape(0)", ["ICudaEngine.get_binding_shape"]),
        ("def f(trt):\n class M(trt.IProgressMonitor):\n  def phase_done(self): ...", ["IProgressMonitor.phase_done"]),
        ("def f(library): getattr(library.trt, 'DLA', None)", ["tensorrt.DLA"]),
        ("def f(b: trt.Builder): b.create_network(0)\ndef g(b): b.anything", []),
    ],
)
def test_a_wrong_name_is_found(source: str, absent: list[str]) -> None:
    members = read_listing((Path(__file__).parent / "api" / "tensorrt-11.4.0.106.txt").read_text())
    assert missing(uses(source).found, members) == absent


@pytest.mark.parametrize(
    "source",
    ["def f(b: trt.Builder):\n n = b.create_network(0)", "def f(n: trt.INetworkDefinition): n.get_input(0).name"],
)
def test_an_object_of_no_stated_class_is_found(source: str) -> None:
    assert uses(source).untyped
