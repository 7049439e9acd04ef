"""Faults put into the real runtime: on this driver each one shows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pairs import InOrder, MakePair, Pair

from edgeirf.conformal import Limits
from edgeirf.runtime.cuda.buffers import DeviceBuffer, SharedBuffer
from edgeirf.runtime.executors.gpu import recording
from edgeirf.runtime.executors.gpu.executor import GpuExecutor
from edgeirf.runtime.executors.gpu.frame_layout import Geometry
from edgeirf.runtime.executors.gpu.slot import Slot

Make = Callable[..., np.ndarray]
Patch = pytest.MonkeyPatch


def silent(*_: object) -> None:
    """In the place of a wait."""


def no_wait_for_the_frame(patch: Patch, pair: Pair) -> None:
    for slot in pair.cuda._gpu.slots:
        patch.setattr(slot.done, "synchronize", silent)


def no_wait_for_the_upload(patch: Patch, pair: Pair) -> None:
    patch.setattr(pair.cuda._gpu.compute, "wait_for_event", silent)


def no_upload(patch: Patch, pair: Pair) -> None:
    patch.setattr(SharedBuffer, "upload", lambda self, stream, size=None, values=None: None)


def half_an_upload(patch: Patch, pair: Pair) -> None:
    real = SharedBuffer.upload
    patch.setattr(
        SharedBuffer, "upload", lambda self, stream, size=None, values=None: real(self, stream, (size or 0) // 2)
    )


def a_result_that_the_kernel_does_not_write_to(patch: Patch, pair: Pair) -> None:
    for slot in pair.cuda._gpu.slots:
        patch.setattr(slot.result, "host", slot.result.host.copy())


def network_output_elsewhere(patch: Patch, pair: Pair) -> None:
    real = pair.engine.bind
    patch.setattr(pair.engine, "bind", lambda source, target: real(source, target + 64))


def stages_out_of_order(patch: Patch, pair: Pair) -> None:
    patch.setattr(recording, "STAGES", ("upload", "network", "preprocess", "postprocess", "download"))


def one_slot_for_two_frames(patch: Patch, pair: Pair) -> None:
    patch.setattr(GpuExecutor, "_free_slot", lambda self: self._gpu.slots[0])


def pixels_not_staged(patch: Patch, pair: Pair) -> None:
    patch.setattr(Geometry, "stage", silent)


def workspace_not_zeroed(patch: Patch, pair: Pair) -> None:
    pair.cuda.close()
    patch.setattr(DeviceBuffer, "fill_zero", silent)
    pair.cuda = InOrder(pair.engine, pair.host.settings, pair.host.rules, pair.host.limits)


def limits_of_another_product(patch: Patch, pair: Pair) -> None:
    pair.cuda.close()
    limits = Limits(threshold=0.1, pixel_threshold=pair.host.limits.pixel_threshold, scores=(1.0,))
    pair.cuda = InOrder(pair.engine, pair.host.settings, pair.host.rules, limits)


def an_older_graph(patch: Patch, pair: Pair) -> None:
    patch.setattr(Slot, "recorded", lambda self, geometry: self.recording)


FAULTS = [
    no_wait_for_the_frame,
    no_wait_for_the_upload,
    no_upload,
    half_an_upload,
    a_result_that_the_kernel_does_not_write_to,
    network_output_elsewhere,
    stages_out_of_order,
    one_slot_for_two_frames,
    pixels_not_staged,
    workspace_not_zeroed,
    limits_of_another_product,
    an_older_graph,
]


def wrong(pair: Pair, frames: list[np.ndarray]) -> bool:
    """Whether inspecting the frames, singly and in flight, shows anything."""
    try:
        for frame in frames:
            pair.compare(frame)
        for now, following in zip(frames, [*frames[1:], None], strict=True):
            if now is frames[0]:
                pair.cuda.start(now)
            if following is not None:
                pair.cuda.start(following)
            pair.agree(pair.cuda.next(), now, maps=False)  # fetching a map would wait
    except Exception:
        return True
    return False


@pytest.fixture
def frames(good: Make, bad: Make) -> list[np.ndarray]:
    return [good(0, (50, 60)), bad(1, (50, 60)), good(2, (50, 60)), bad(3, (55, 60))]


def test_without_a_fault_nothing_shows(make_pair: MakePair, discrete: None, frames: list[np.ndarray]) -> None:
    assert not wrong(make_pair(), frames)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_every_fault_shows(
    fault: Callable[[Patch, Pair], None],
    make_pair: MakePair,
    discrete: None,
    frames: list[np.ndarray],
    monkeypatch: Patch,
) -> None:
    monkeypatch.setenv("STANDIN_PROTECT", "0")  # writing too early must show in the scores, not end the process
    pair = make_pair()
    fault(monkeypatch, pair)
    assert wrong(pair, frames)
    pair.cuda.close()
