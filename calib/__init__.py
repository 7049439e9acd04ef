"""What is learned from held-out good parts (Gaussian, thresholds) and measured on labelled ones (evaluation)."""
