"""Labelled pictures to figures."""
