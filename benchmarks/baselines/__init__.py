"""PaDiM and PatchCore on edgeirf's backbone, as ordinary bundles: see ``python -m benchmarks.baselines --help``."""
