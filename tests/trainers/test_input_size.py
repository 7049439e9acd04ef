from __future__ import annotations

import pytest

from edgeirf.errors import UsageError
from edgeirf.trainers.input_size import check_orientation, choose_size, cost


@pytest.mark.parametrize(
    ("shapes", "size"),
    [
        ([(448, 448)], (256, 256)),
        ([(1270, 500)], (640, 256)),
        ([(500, 1270)], (256, 640)),
        ([(480, 640)], (256, 352)),
        ([(300, 280)], (256, 256)),
        ([(100, 9000)], (256, 1024)),
        ([(388, 103), (222, 618)], (256, 256)),  # no common aspect
    ],
)
def test_the_aspect_is_kept(shapes: list[tuple[int, int]], size: tuple[int, int]) -> None:
    assert choose_size(shapes) == size


def test_roi_and_tiles_decide_where_they_are_given() -> None:
    assert choose_size([(448, 448)], roi=(0, 0, 400, 200)) == (256, 512)
    assert choose_size([(448, 896)], tiles=(1, 2)) == (256, 256)


def test_cost_counts_pixels() -> None:
    assert cost((640, 256)) == 2.5


@pytest.mark.parametrize(("size", "shape"), [((256, 640), (1270, 500)), ((640, 256), (480, 640))])
def test_a_size_the_wrong_way_round_is_refused(size: tuple[int, int], shape: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=r"WIDTHxHEIGHT; did you mean"):
        check_orientation(size, [shape])
    check_orientation((size[1], size[0]), [shape])
    check_orientation(size, [(448, 448)])
