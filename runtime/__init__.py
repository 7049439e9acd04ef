"""The part that runs on the line: cameras, pre-processing, executors, scoring, sinks. Never imports torch."""
