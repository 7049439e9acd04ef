"""Has a camera take a picture for each part, on a thread of its own: a camera that is dead takes seconds to say so."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edgeirf.errors import EdgeirfError


class FireThread:
    """Calls ``fire`` once for each :meth:`put`.

    Args:
        name: of the camera.
        fire: has the camera take a picture.
        failed: called with the reason when it does not.
        broken: called with the reason when the thread ends by an error of the program.
    """

    def __init__(
        self, name: str, fire: Callable[[], None], failed: Callable[[str], None], broken: Callable[[str], None]
    ) -> None:
        self._fire, self._failed, self._broken = fire, failed, broken
        self._due = threading.Semaphore(0)
        self._stopped = False
        threading.Thread(target=self._run, name=f"fire {name}", daemon=True).start()

    def put(self) -> None:
        """A part needs a picture; never waits."""
        self._due.release()

    def stop(self) -> None:
        """Ends soon."""
        self._stopped = True
        self._due.release()

    def _run(self) -> None:
        while self._due.acquire() and not self._stopped:
            try:
                self._fire()
            except EdgeirfError as error:  # the part is rejected for want of its frame
                self._failed(str(error))
            except Exception as error:
                self._broken(f"fire: {type(error).__name__}: {error}")
                return
