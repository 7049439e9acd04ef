"""What is fitted on held-out parts: Gaussian, cross-fit, value ranges."""
