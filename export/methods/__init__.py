"""Methods: one module each."""
