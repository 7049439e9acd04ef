"""Drift of scores and frames."""
