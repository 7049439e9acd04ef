"""Limits are read in tests/runtime/executors/test_cores.py and tests/runtime/imaging/test_memory.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeirf.control_groups import group_folders, read


@pytest.mark.parametrize(
    ("groups", "folders"),
    [
        ("", []),
        ("0::/a/b\n", [".", "a", "a/b"]),
        ("4:memory:/a\n5:cpu,cpuacct:/b\n", ["memory", "memory/a"]),
        ("0::/../../x\n", [".", "x"]),
        ("nonsense\n", ["."]),
    ],
)
def test_the_groups_of_a_process_and_all_above(tmp_path: Path, groups: str, folders: list[str]) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    found = {str(path.relative_to(tmp_path / "sys/fs/cgroup")) for path in group_folders("memory", tmp_path)}
    assert found == set(folders)
    assert read(tmp_path / "nothing") == ""
