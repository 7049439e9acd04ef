"""Rendered parts: pictures of parts and defects, and the data set of the demo."""
