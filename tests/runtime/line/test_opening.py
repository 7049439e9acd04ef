"""From ``line.toml`` to a plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgeirf.errors import EdgeirfError
from edgeirf.runtime.line import opening
from edgeirf.runtime.line.config import LineConfig, read_config


def config(tmp_path: Path, tiny: Path, text: str = "", line: str = "", camera: str = "") -> LineConfig:
    (tmp_path / "line.toml").write_text(
        f'[line]\ndeadline_ms = 5000\n{line}\n[detector]\nmodel = "{tiny}"\ndevice = "cpu"\n'
        f'[[camera]]\nname = "top"\nuri = "test://?size=64&count=2"\n{camera}\n{text}'
    )
    return read_config(tmp_path / "line.toml")


def test_cameras_with_the_same_bundle_share_a_detector(tmp_path: Path, tiny_path: Path) -> None:
    other = tmp_path / "other.irf"
    other.write_bytes(tiny_path.read_bytes())
    text = '[[camera]]\nname = "side"\nuri = "1"\n[[camera]]\nname = "back"\nuri = "2"\nmodel = "other.irf"\n'
    plan = opening.open_plan(config(tmp_path, tiny_path, text))
    keys = [station.detector for station in plan.stations]
    assert keys[0] == keys[1] != keys[2]
    assert {*plan.detectors} == {*keys}
    assert plan.deadline_s == 5.0


def test_cameras_that_share_a_detector_share_a_batch(tmp_path: Path, tiny_path: Path) -> None:
    text = '[[camera]]\nname = "side"\nuri = "1"\n'
    for more, depth in (("", 1), (text, 2)):
        line = config(tmp_path, tiny_path, more)
        line = replace(line, detector=replace(line.detector, batch=4))
        with opening.load_detector(line, line.cameras[0]) as detector:
            assert detector.depth == depth


@pytest.mark.parametrize(
    ("device", "taken", "taken_over", "said"),
    [
        ("tensorrt", 10.0, True, "the CPU takes over when the device is lost: 10 of 5000 ms"),
        ("tensorrt", 9000.0, False, "note: the CPU does not take over: a frame takes it 9000 ms, the deadline is 5000"),
        ("cpu", 10.0, False, ""),
    ],
)
def test_the_cpu_takes_over_where_its_measured_latency_meets_the_deadline(
    tmp_path: Path,
    tiny_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    taken: float,
    taken_over: bool,
    said: str,
) -> None:
    monkeypatch.setattr(opening, "measured_ms", lambda detector, size: taken)
    lines: list[str] = []
    plan = opening.open_plan(config(tmp_path, tiny_path, line="cpu_takeover = true"), lines.append)
    (detectors,) = plan.detectors.values()
    detectors.open().close()
    assert detectors.standby is not None
    detectors.standby.__self__.device = device  # type: ignore[attr-defined]
    standby = detectors.standby([(64, 64)])
    assert (standby is not None) == taken_over
    assert said in lines[-1]


def test_the_latency_of_the_cpu_is_measured(tmp_path: Path, tiny_path: Path) -> None:
    line = config(tmp_path, tiny_path)
    with opening.load_detector(line, line.cameras[0]) as detector:
        assert 0 < opening.measured_ms(detector, (64, 64)) < 10_000


def test_a_bundle_that_is_not_there_is_an_error_of_the_start(tmp_path: Path) -> None:
    plan = opening.open_plan(config(tmp_path, tmp_path / "none.irf"))
    with pytest.raises(EdgeirfError, match="cannot read"):
        next(iter(plan.detectors.values())).open()
