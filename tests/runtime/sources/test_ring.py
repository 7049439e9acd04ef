"""Memory that frames share: never written while somebody looks at it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.runtime.sources.ring import Ring, Slot

BYTE = np.dtype(np.uint8)


@given(st.lists(st.integers(0, 3), max_size=60))
def test_what_is_held_is_never_lent_again(steps: list[int]) -> None:
    """0 takes a frame; any other number gives back the oldest one, of which a part was held."""
    ring, held, mark = Ring(np.empty, slots=3), [], 0
    for step in steps:
        if step:
            del held[:1]
        elif (lent := ring.lend((4, 4), BYTE)) is None:
            assert len(held) == 3
        else:
            mark += 1
            lent[:] = mark % 256
            held.append((lent[1:, ::2], mark % 256))
            del lent
    assert all((view == mark).all() for view, mark in held)


@pytest.mark.parametrize("memory", [np.empty(64, np.uint8), np.empty((4, 8), np.uint16), np.zeros(128, np.uint8)[:64]])
def test_a_view_of_a_view_keeps_a_slot_in_use(memory: np.ndarray) -> None:
    slot = Slot(memory)
    view = slot.array((4, 4), BYTE)
    part = view[1:].reshape(-1)[::2].view(np.int8)
    del view
    assert not slot.free
    assert np.shares_memory(part, memory)
    del part
    assert slot.free


def test_memory_with_gaps_is_refused() -> None:
    with pytest.raises(ValueError, match="contiguous"):
        Slot(np.empty((4, 8), np.uint8)[:, :4])


def test_another_size_gets_memory_of_its_own() -> None:
    asked: list[tuple[int, ...]] = []
    ring = Ring(lambda shape, dtype: asked.append(shape) or np.empty(shape, dtype), slots=2)
    first = ring.lend((2, 2, 3), BYTE)
    first[:] = 7
    ring.lend((4, 4, 3), BYTE)[:] = 9
    assert asked == [(2, 2, 3)] * 2 + [(4, 4, 3)] * 2
    assert (first == 7).all()
