"""Frames and their pixels: files, formats, resizing, pre-processing."""
