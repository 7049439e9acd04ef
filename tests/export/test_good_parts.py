from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeirf.calib.evaluation import odd_pictures
from edgeirf.cli.export import tell_odd
from edgeirf.export.good_parts import examine_held_out, held_out_files, held_out_pictures
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.imaging.preprocess import prepare
from edgeirf.trainers.run import Run


def test_files_and_pixels_of_held_out_parts_belong_together(unified_run: Run) -> None:
    pictures = held_out_pictures(unified_run)
    files = held_out_files(unified_run)
    assert {product: len(paths) for product, paths in files.items()} == {"blue": 8, "red": 8}
    assert list(pictures) == [*files["blue"], *files["red"]]
    for path, pixels in pictures.items():
        prepared = prepare(read_image(path), unified_run.config.preprocess)
        assert np.array_equal(pixels, prepared[0][..., ::-1])


def test_an_odd_held_out_picture_is_named_with_a_page_though_its_file_is_gone(
    unified_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(odd_pictures, "FEWEST", 8)
    examined = examine_held_out(unified_run, [*range(10, 18), 10, 11, 12, 13, 90, 14, 15, 16], 0.05)
    odd = held_out_files(unified_run)["red"][4]
    assert [(one.path, one.threshold_without) for found in examined.values() for one in found.odd] == [(odd, 16.0)]
    monkeypatch.setattr("edgeirf.calib.reports.odd_page.read_image", None)
    tell_odd(examined, unified_run, tmp_path / "x.html")
    out = capsys.readouterr().out
    assert f"{odd} does not look like the other good parts" in out
    assert "the threshold is 16 instead of 90" in out
    assert "--exclude FILE" in out
    page = (tmp_path / "x.html").read_text()
    assert page.count("data:image/jpeg") == 1
    assert "<h2>red</h2>" in page


@pytest.mark.parametrize("always", [False, True])
def test_without_an_odd_picture_the_page_is_written_where_it_is_asked_for(
    unified_run: Run, tmp_path: Path, always: bool
) -> None:
    tell_odd(examine_held_out(unified_run, list(range(1, 17)), 0.05), unified_run, tmp_path / "x.html", always=always)
    assert (tmp_path / "x.html").exists() is always
