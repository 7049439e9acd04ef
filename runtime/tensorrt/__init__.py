"""TensorRT and TensorRT-RTX: engines built from the bundle's ONNX on the device that runs them, and kept there.

Nothing in this package is imported until a GPU is to be used; ``tensorrt`` and ``pycuda`` only by the functions that
need them. The builder is exercised by real TensorRT-RTX builds on the CPU; loading and running an engine has been
tested against stand-ins only, never on a GPU.
"""
