from __future__ import annotations

from pathlib import Path

import pytest

from edgeirf.errors import UsageError
from edgeirf.runtime.executors import cores

V2, V1 = "0::/pod/box\n", "5:cpu,cpuacct:/pod/box\n4:memory:/pod/box\n"


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        pytest.param("", {}, None, id="no control groups"),
        pytest.param(V2, {"pod/box/cpu.max": "max 100000"}, None, id="2, no limit"),
        pytest.param(V2, {"pod/box/cpu.max": "50000 100000"}, 0.5, id="2"),
        pytest.param(V2, {"pod/box/cpu.max": "max 100000", "pod/cpu.max": "150000 100000"}, 1.5, id="2, level above"),
        pytest.param("0::/\n", {"cpu.max": "200000 100000"}, 2.0, id="2, in a container"),
        pytest.param(V2, {"cpu.max": "200000 100000"}, 2.0, id="2, the group is mounted at the top"),
        pytest.param("0::/../../x\n", {"cpu.max": "75000 50000"}, 1.5, id="2, outside the container"),
        pytest.param(V1, {"cpu/pod/box/cpu.cfs_quota_us": "-1", "cpu/pod/box/cpu.cfs_period_us": "100000"}, None),
        pytest.param(V1, {"cpu/pod/box/cpu.cfs_quota_us": "25000", "cpu/pod/box/cpu.cfs_period_us": "100000"}, 0.25),
        pytest.param(V1, {"cpu,cpuacct/cpu.cfs_quota_us": "300000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 3.0),
        pytest.param(V2, {"pod/box/cpu.max": "nonsense"}, None, id="nonsense"),
        pytest.param(V2, {"pod/box/cpu.max": "100 0"}, None, id="no period"),
    ],
)
def test_quotas_of_both_versions_are_seen(
    tmp_path: Path, groups: str, files: dict[str, str], quota: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert cores.cpu_quota(tmp_path) == quota
    monkeypatch.delenv("EDGEIRF_THREADS", raising=False)
    monkeypatch.setattr(cores, "affinity", lambda: 16)
    assert cores.default_threads(tmp_path) == (8 if quota is None else max(1, int(quota)))


@pytest.mark.parametrize("asked", ["²", "0", "-1", "1.5", "many", "257", "9" * 5000])
def test_a_number_of_threads_that_is_none_is_one_line(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setenv("EDGEIRF_THREADS", asked)
    with pytest.raises(UsageError, match="EDGEIRF_THREADS is a whole number from 1 to 256"):
        cores.default_threads()


def test_what_is_asked_for_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEIRF_THREADS", " 12 ")
    assert cores.default_threads() == 12
