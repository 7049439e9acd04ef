"""The soak for some seconds: it measures, and the line leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

from benchmarks.soak import soak


def test_a_short_soak_leaves_no_thread_and_no_descriptor_behind(tiny_path: Path, tmp_path: Path) -> None:
    result = soak(0.05, tiny_path, 50.0, tmp_path, side=64)
    assert (result["threads"], result["descriptors"]) == (0, 0)
    assert result["parts"] > 50
    assert result["rss_start_mb"] > 10
    assert result["p99_ms_first"] > 0
    assert result["p99_ms_last"] > 0
