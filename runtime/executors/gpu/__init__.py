"""The executor that keeps a frame on the GPU."""
