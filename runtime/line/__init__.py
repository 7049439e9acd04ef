"""The line: frames through the detector to the sinks."""
