"""The frame that the library draws when it loads a bundle: the one that the exporter knows the peak of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest
from embed_vectors import VECTORS

from edgeirf.bundle import Bundle
from edgeirf.export.standalone.check import KEY
from edgeirf.export.standalone.graph import Fixed, standalone
from edgeirf.frame_contract import FrameContract

RUNTIME = 3


def with_peak(graph: bytes, factor: float) -> bytes:
    model = onnx.load_from_string(graph)
    entry = next(one for one in model.metadata_props if one.key == KEY)
    entry.value = repr(float(entry.value) * factor)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("name", ["nv12.onnx", "bayer_rggb8.onnx", "wide"])
def test_a_network_that_is_computed_wrongly_is_refused(
    open_line: Callable[..., Any], host: ModuleType, tmp_path: Path, name: str
) -> None:
    if name == "wide":  # its first format has 16 bits
        bundle = Bundle.read(VECTORS / "tiles.irf")
        manifest = replace(bundle.manifest, frame=FrameContract(80, 70, 12, 1, (16,)))
        graph = standalone(manifest, "int8", bundle.member("model.int8.onnx"), "gray16", Fixed("part", bundle.digest))
    else:
        graph = (VECTORS / name).read_bytes()
    path = tmp_path / "x.onnx"
    path.write_bytes(with_peak(graph, 1.0001))
    open_line(path).close()
    path.write_bytes(with_peak(graph, 0.8))
    with pytest.raises(
        host.EdgeirfError, match=r"computes \w+ wrongly \(the check frame is off by 2[45] %\)"
    ) as caught:
        open_line(path)
    assert caught.value.code == RUNTIME
    path.write_bytes(with_peak(graph, float("nan")))
    with pytest.raises(host.EdgeirfError, match=f"no valid entry {KEY}"):
        open_line(path)
