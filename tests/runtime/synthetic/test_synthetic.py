"""The rendered conveyor: the same parts each time, and the truth about them."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from edgeirf.errors import UsageError
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.sources.conveyor import Conveyor, open_synthetic
from edgeirf.runtime.synthetic.dataset import write_dataset
from edgeirf.runtime.synthetic.defects import DEFECTS
from edgeirf.runtime.synthetic.part import PARTS, make_surface
from edgeirf.runtime.synthetic.render import render

SIZE = 128


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("defect", [None, *DEFECTS])
def test_a_part_is_a_picture_with_its_truth(part: str, defect: str | None) -> None:
    rendered = render(3, 5, defect, part, SIZE)
    assert rendered.image.shape == (SIZE, SIZE, 3)
    assert rendered.image.dtype == np.uint8
    assert rendered.defect == defect
    assert bool(rendered.mask.any()) == (defect is not None)
    assert rendered.image.std() > 20


@pytest.mark.parametrize("defect", [None, *DEFECTS])
def test_the_same_name_gives_the_same_picture_in_any_order(defect: str | None) -> None:
    first = render(1, 2, defect, size=SIZE)
    render(1, 3, "dent", size=SIZE)
    again = render(1, 2, defect, size=SIZE)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.mask, again.mask)
    for other in (render(1, 3, defect, size=SIZE), render(2, 2, defect, size=SIZE)):
        assert (other.image != first.image).any()


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_seen_inside_its_mask_and_hardly_outside(part: str, defect: str) -> None:
    """Against the same part without it; shadows, highlights and the rims of masks reach a little outside."""
    inside, outside = [], []
    for index in range(4):
        bad = render(7, index, defect, part, 256)
        good = render(7, index, None, part, 256)
        change = np.abs(bad.image.astype(float) - good.image).mean(axis=2)
        inside.append(change[bad.mask].mean())
        outside.append(change[~bad.mask].mean())
    assert np.mean(inside) > 5
    assert np.mean(outside) < 0.5


@pytest.mark.parametrize("part", PARTS)
def test_every_feature_can_be_missing_and_lies_where_it_says(part: str) -> None:
    whole = make_surface(part, 256)
    ticks = (np.arange(256) + 0.5) / 128 - 1
    for number, (x, y, radius) in enumerate(whole.features):
        changed = np.abs(make_surface(part, 256, number).height - whole.height) > 1e-3
        near = np.hypot(ticks[None] - x, ticks[:, None] - y) < 1.6 * radius
        assert changed.any()
        assert (changed & near).sum() > 0.9 * changed.sum()


def test_masks_cover_a_defect_not_a_part() -> None:
    shares = [render(0, index, defect, size=SIZE).mask.mean() for index in range(5) for defect in DEFECTS]
    assert min(shares) > 0
    assert max(shares) < 0.12


def test_the_stream_has_the_share_of_bad_parts_asked_for() -> None:
    conveyor = Conveyor(seed=4, defects=0.25)
    kinds = [conveyor.defect(index) for index in range(2000)]
    assert 0.2 < np.mean([kind is not None for kind in kinds]) < 0.3
    assert {kind for kind in kinds if kind} == set(DEFECTS)
    assert not any(Conveyor(defects=0).defect(index) for index in range(100))


def test_a_source_plays_the_conveyor_and_stops() -> None:
    source = open_synthetic(f"test://?seed=9&count=3&size={SIZE}&defects=0.5&part=bracket")
    frames = list(source)
    assert [frame.frame_id for frame in frames] == [0, 1, 2]
    assert all(frame.captured_at and not frame.error for frame in frames)
    np.testing.assert_array_equal(frames[1].image, source.conveyor.part_at(1).image)
    endless = open_synthetic(f"test://?size={SIZE}")
    assert endless.total is None
    taken = []
    for frame in endless:
        taken.append(frame)
        if len(taken) == 2:
            endless.stop()
    assert len(taken) == 2


def test_no_part_comes_before_its_time() -> None:
    start = perf_counter()
    clocks = [frame.clock - start for frame in open_synthetic("test://?size=64&count=4&rate=20")]
    assert all(clock >= number / 20 for number, clock in enumerate(clocks))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("test://?sede=1", "has no 'sede'; it knows seed, count, defects, size, part, rate"),
        ("test://?seed=x", "seed=x is not a number"),
        ("test://?seed=", "not a number"),
        ("test://?seed=-1", "counts from 0"),
        ("test://?count=0", "from 1"),
        ("test://?defects=2", "share"),
        ("test://?defects=nan", "share"),
        ("test://?size=9", "size"),
        ("test://?rate=-1", "rate"),
        ("test://?part=gear", "flange or bracket"),
        ("test://flange", "not understood"),
        ("test:seed=1", "not understood"),
    ],
)
def test_a_wrong_address_is_one_clear_error(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_synthetic(text)


@pytest.mark.parametrize("text", ["test://", "test:", "test:///", "test://?", "test://?seed=1"])
def test_everything_can_be_left_out(text: str) -> None:
    assert open_synthetic(text).conveyor.size == 640


def test_a_dataset_has_the_layout_that_trainers_know(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    root = write_dataset(
        tmp_path / "parts", train=3, test_good=2, test_defects=2, size=SIZE, progress=lambda *step: steps.append(step)
    )
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*.png"))
    assert files[:4] == [f"ground_truth/{kind}/{n:03d}_mask.png" for kind in ("dent", "missing") for n in range(2)]
    assert len(files) == 3 + 2 + 4 * 2 * 2
    assert steps == [(n + 1, 13) for n in range(13)]
    mask = read_image(root / "ground_truth/dent/000_mask.png")
    assert mask.shape == (SIZE, SIZE)
    assert set(np.unique(mask)) == {0, 255}
    pictures = [read_image(path).tobytes() for path in root.rglob("*.png") if "mask" not in path.name]
    assert len(set(pictures)) == len(pictures)
