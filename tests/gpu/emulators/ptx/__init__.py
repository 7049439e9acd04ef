"""Runs the PTX that nvcc makes of a kernel, on numpy, and says what is wrong with it.

All threads of a block go through an instruction at once; threads that took another branch wait their turn. Bounds,
alignment, barriers, shuffles, and the order of memory accesses between threads and between blocks are checked.
"""
