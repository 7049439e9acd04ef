"""The GPU through pycuda: context, memory, streams, kernels, CUDA graphs.

pycuda is imported by the functions that need it, so that this package can be imported on a machine without a GPU.
"""
