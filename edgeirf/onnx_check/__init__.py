"""An ONNX graph is checked before any library parses it: numpy only, bounded, an allow-list of the exporter."""

from edgeirf.onnx_check.check import check_graph

__all__ = ["check_graph"]
