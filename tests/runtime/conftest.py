"""What the tests of the local server and of its C client share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

import edgeirf
from edgeirf.errors import EdgeirfError
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.serve.server import ShmServer

Serving = Callable[[Detector, Path], AbstractContextManager[list[EdgeirfError]]]


@pytest.fixture(scope="session")
def tiny_detector(tiny_path: Path) -> Iterator[Detector]:
    """The tiny bundle at work, for tests that leave it as it is."""
    with edgeirf.load(tiny_path, device="cpu", threads=1) as detector:
        yield detector


@pytest.fixture(scope="session")
def serving() -> Serving:
    """``serving(detector, path)``: a server in a thread that answers within the block; yields what ended it early."""

    @contextmanager
    def run(detector: Detector, path: Path) -> Iterator[list[EdgeirfError]]:
        ended: list[EdgeirfError] = []
        server = ShmServer(detector, path)

        listens = threading.Event()

        def serve() -> None:
            try:
                server.run(listens.set)
            except EdgeirfError as error:
                ended.append(error)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            assert listens.wait(30)
            yield ended
        finally:
            server.stop()
            thread.join(30)
            assert not thread.is_alive()

    return run
