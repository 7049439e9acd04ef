"""What ``benchmarks/compare.py`` is made of: sets, cells, results, table and plot."""
