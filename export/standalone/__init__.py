"""Camera bytes to verdict in one ONNX graph: each step a small builder."""
