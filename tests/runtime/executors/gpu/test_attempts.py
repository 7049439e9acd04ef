from __future__ import annotations

from itertools import count, pairwise

from edgeirf.runtime.executors.gpu.attempts import LONGEST_PAUSE, Attempts


def test_the_first_frame_tries() -> None:
    assert Attempts().due()


def test_pauses_double_up_to_a_limit_and_trying_never_ends() -> None:
    attempts, tries = Attempts(), list[int]()
    for frame in count():
        if attempts.due():
            tries.append(frame)
            attempts.refused()
        if len(tries) == 14:
            break
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert pauses == [2**n for n in range(1, 11)] + [LONGEST_PAUSE] * 3
