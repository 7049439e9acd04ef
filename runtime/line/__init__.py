"""The line: source to detector to sinks, its statistics and its status."""
