"""Pictures of rejects: the newest stay within the limit, the disk never fills, and files of others stay."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeirf.errors import EdgeirfError
from edgeirf.runtime.sinks import Record
from edgeirf.runtime.sinks.picture_ring import RESERVE, PictureRing
from edgeirf.runtime.sinks.rejects import RejectSaver
from edgeirf.runtime.sources.frame import Frame
from edgeirf.verdict import Verdict

PLENTY = 10**12


def reject(number: int, side: int = 64) -> Record:
    noise = np.random.default_rng(number).integers(0, 256, (side, side), np.uint8)
    verdict = Verdict(reject=True, score=40.0, p_value=0.01, threshold=31.0, frame_id=number)
    return Record(verdict, Frame(noise, number, "camera 0", captured_at=1e9 + number))


def test_the_newest_pictures_stay_those_of_earlier_runs_make_room_first_and_files_of_others_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        old = tmp_path / f"20250101T00000000{number}Z_00000{number}.png"
        old.write_bytes(bytes(400_000))
        os.utime(old, (number, number))
    for name in ("holiday.png", "000001.txt"):
        (tmp_path / name).write_bytes(bytes(2_000_000))
    saver = RejectSaver(str(tmp_path), limit_mb=1)
    for number in range(2):
        saver.write(reject(number, 500))  # noise of 500x500: 0.25 MB
    saver.close()
    kept = sorted(path.name for path in tmp_path.glob("20*"))
    assert [name.split("_")[1] for name in kept] == ["000000.png", "000001.png", "000002.png"]
    assert (tmp_path / "holiday.png").exists()
    assert (tmp_path / "000001.txt").exists()
    assert caplog.messages == [f"{tmp_path}: 2 old pictures were deleted, the limit is 1 MB"]


def test_a_picture_without_a_time_is_taken_for_a_reject_only_with_its_overlay(tmp_path: Path) -> None:
    for name in ("000001_part.png", "000001_part_overlay.jpg", "000002_holiday.png"):
        (tmp_path / name).write_bytes(bytes(400))
    ring = PictureRing(tmp_path, 500, lambda folder: PLENTY)
    assert ring.makes_room(400)
    assert ring.removed == 2
    assert [path.name for path in tmp_path.iterdir()] == ["000002_holiday.png"]


@settings(deadline=None, max_examples=50)
@given(sizes=st.lists(st.integers(1, 400), max_size=30), limit=st.integers(1, 1000))
def test_the_folder_never_has_more_than_the_limit_and_keeps_the_newest(
    sizes: list[int], limit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("ring")
    ring = PictureRing(folder, limit, lambda folder: PLENTY)
    for number, size in enumerate(sizes):
        if ring.makes_room(size):
            (folder / f"{number:06}.png").write_bytes(bytes(size))
            ring.add(folder / f"{number:06}.png", size)
        else:
            assert size > limit
    kept = sorted(folder.iterdir())
    assert sum(path.stat().st_size for path in kept) <= limit
    written = [number for number, size in enumerate(sizes) if size <= limit]
    assert [int(path.stem) for path in kept] == written[len(written) - len(kept) :]


@pytest.mark.parametrize("limit_mb", [None, 100])
def test_a_disk_that_others_fill_loses_pictures_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, limit_mb: int | None
) -> None:
    saver = RejectSaver(str(tmp_path), limit_mb=limit_mb)
    monkeypatch.setattr(saver._ring, "_free", lambda folder: RESERVE + 10)
    for number in range(1 if limit_mb is None else 2):
        saver.write(reject(number))
    if limit_mb is None:  # nothing may be removed: the run ends, as on a full disk
        with pytest.raises(EdgeirfError, match="256 MB of the disk stay free; free the disk, or set a limit"):
            saver.close()
    else:
        saver.close()
        assert saver.lost == 2
        assert saver.remark is not None
        assert saver.remark.startswith("2 pictures are lost: there is no room for")
        assert len(caplog.messages) == 1
    assert not list(tmp_path.iterdir())
