"""Sealed files and folders."""
