"""ONNX graphs: trace, fold, passes."""
