"""The part that runs on the line: cameras, pre-processing, back ends, scoring, sinks. Never imports torch."""
