"""Maps of the GPU executor: computed when they are asked for, of the right frame."""

from __future__ import annotations

from collections.abc import Callable

import driver_control
import numpy as np
import pytest
from pairs import MakePair

from edgeirf.errors import BackendError, UsageError
from edgeirf.settings import Preprocess, Scoring

Make = Callable[..., np.ndarray]


class TestMaps:
    """The map stays on the GPU until asked for."""

    def test_not_fetched_unless_asked_for(self, make_pair: MakePair, discrete: None, good: Make) -> None:
        cuda = make_pair().cuda
        cuda.inspect(good(0))
        driver_control.reset()
        inspected = cuda.inspect(good(1))
        assert driver_control.count("bytes_down") == 0  # the kernel writes the 64 bytes where the host reads them
        assert inspected.map.array().shape == (32, 32)
        assert driver_control.count("bytes_down") == 32 * 32 * 4
        inspected.map.array()
        assert driver_control.count("bytes_down") == 32 * 32 * 4

    def test_gone_with_the_next_frame_in_its_place(self, make_pair: MakePair, good: Make) -> None:
        cuda = make_pair().cuda
        first = cuda.inspect(good(0))
        cuda.inspect(good(1))
        with pytest.raises(UsageError, match="before the next frame"):
            first.map.array()

    def test_kept_while_somebody_holds_a_frame_with_regions(
        self, make_pair: MakePair, memory: str, good: Make, bad: Make
    ) -> None:
        pair = make_pair()
        rejected = pair.cuda.inspect(bad(0))
        pair.compare(good(1))
        pair.agree(rejected, bad(0))

    def test_of_the_frame_before_while_another_is_in_flight(self, make_pair: MakePair, memory: str, good: Make) -> None:
        pair = make_pair()
        pair.cuda.start(good(0))
        pair.cuda.start(good(1))
        pair.agree(pair.cuda.next(), good(0))
        pair.agree(pair.cuda.next(), good(1))

    def test_not_after_the_executor_is_closed(self, make_pair: MakePair, good: Make) -> None:
        cuda = make_pair().cuda
        inspected = cuda.inspect(good(0))
        cuda.close()
        with pytest.raises(BackendError, match="closed"):
            inspected.map.array()

    @pytest.mark.parametrize("make_frame", ["good", "bad"])
    def test_not_spoilt_by_preparing_for_another_camera(
        self, make_frame: str, make_pair: MakePair, memory: str, request: pytest.FixtureRequest
    ) -> None:
        pair, frame = make_pair(), request.getfixturevalue(make_frame)(0)
        inspected = pair.cuda.inspect(frame)
        pair.cuda.warm_up((200, 100), "bgr8")
        if make_frame == "bad":  # regions: kept for whoever holds it
            pair.agree(inspected, frame)
            return
        with pytest.raises(UsageError, match="before the next frame"):
            inspected.map.array()

    @pytest.mark.parametrize("spots", [1, 3, 20])
    def test_regions_do_not_wait_for_the_frame_after(
        self, spots: int, make_pair: MakePair, discrete: None, good: Make
    ) -> None:
        """More of them than fit into 64 bytes are fetched past the computing that is under way."""
        pair = make_pair(Preprocess(size=(256, 256)), Scoring(sigma=0.0))
        frame = np.full((256, 256, 3), 128, np.uint8)
        for spot in range(spots):
            row, column = divmod(spot, 6)
            frame[row * 40 + 10 : row * 40 + 18, column * 40 + 10 : column * 40 + 18] = 255
        pair.cuda.warm_up((256, 256), "bgr8")
        pair.cuda.start(frame)
        pair.cuda.start(good(1, (256, 256)))
        driver_control.reset()
        inspected = pair.cuda.next()
        assert len(inspected.regions) == spots
        assert driver_control.count("host_functions") == 1  # its own network, not the next frame's
        pair.agree(inspected, frame)
        pair.cuda.next()
