"""Executors: one class for each way to turn a frame into a result, and the choice between them."""
