"""Rendered parts: the conveyor of ``test://`` and the data set of the demo."""
