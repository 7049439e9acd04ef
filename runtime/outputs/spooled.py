"""An output whose records wait on disk while its peer is away."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from edgeirf.errors import OutputError
from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.durable import DurableOutput, decode, encode
from edgeirf.runtime.outputs.output import Output, State
from edgeirf.runtime.sinks.spool import Spool, Waiting

FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 10.0
"""Wait before the next attempt to reach a peer: it doubles from the first to the longest."""
_CLOSE_S = 2.0


class Spooled(Output):
    """Keeps each record on disk before anything is sent, and removes it when the peer has it.

    Records reach the peer in order, at least once: one that the peer took just before the process was killed is sent
    again under the same key. A peer that looks at the key (``id`` in JSON, ``Idempotency-Key`` in HTTP) has it once.
    A thread of its own connects and sends; :meth:`act` returns when the record is on the disk.

    >>> from edgeirf.runtime.outputs.jsonl import Jsonl, JsonlSettings
    >>> output = Spooled(Jsonl("log", JsonlSettings(path="verdicts.jsonl")), "log.spool")
    >>> output.open()
    >>> output.act(PartVerdict(part_id=7, reject=True, reason="late"))
    >>> output.close()
    >>> output.waiting
    0

    Args:
        output: delivers the records; only the thread of this object calls it.
        path: file of the spool.
        quota_mb: its largest size.
    """

    durable = True

    def __init__(self, output: Output, path: str, quota_mb: int = 64) -> None:
        super().__init__(output.name)
        self._output, self._path, self._quota_mb = output, path, quota_mb
        self._spool: Spool | None = None
        self._thread: threading.Thread | None = None
        self._wake, self._closing = threading.Event(), threading.Event()
        self._state: tuple[State, str] | None = None
        self._beat: int | None = None
        self._safe = self._connected = False
        self._taken: list[Waiting] = []

    def open(self) -> None:
        """Opens the spool, and tries the peer once; a peer that is away is no error.

        Raises:
            OutputError: the spool cannot be opened.
        """
        if self._thread is not None:
            return
        self._spool = Spool(self._path, self._quota_mb)
        self._closing.clear()
        self._attempt(self._spool)
        self._thread = threading.Thread(target=self._work, args=(self._spool,), name=f"spool {self.name}", daemon=True)
        self._thread.start()

    def act(self, verdict: PartVerdict) -> None:
        """Puts one record on disk; see :meth:`act_all`."""
        self.act_all([verdict])

    def act_all(self, verdicts: Sequence[PartVerdict]) -> None:
        """Puts records on disk, which is waited for once: a slow disk holds up no more than one wait.

        Raises:
            OutputError: the spool is full or not open: none of them is kept.
        """
        if self._spool is None:
            raise OutputError(f"{self.name}: the spool {self._path} is not open")
        self._spool.append(*map(encode, verdicts))
        self.waiting = len(self._spool) - len(self._taken)
        self._wake.set()

    def state(self, state: State, reason: str) -> None:
        """Hands the newest state over, when the peer is there."""
        self._state = (state, reason)
        self._wake.set()

    def beat(self, count: int) -> None:
        """Hands the newest count over, when the peer is there."""
        self._beat = count
        self._wake.set()

    def safe(self) -> None:
        """Puts the output in its safe state, when the peer is there."""
        self._safe = True
        self._wake.set()

    def close(self) -> None:
        """Sends what can be sent within two seconds; the rest waits on disk for the next run."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)  # the thread closes the spool: a peer that hangs may still hold it
            self._thread = None

    def _work(self, spool: Spool) -> None:
        try:
            self._send_all(spool)
        finally:
            self._spool = None
            self._output.close()
            spool.close()

    def _send_all(self, spool: Spool) -> None:
        wait = FIRST_WAIT_S
        while not self._closing.is_set():
            if self._connected:
                self._wake.wait()
                wait = FIRST_WAIT_S
            else:
                self._closing.wait(wait)
                wait = min(2 * wait, LONGEST_WAIT_S)
            self._wake.clear()
            self._attempt(spool)
        if self._connected:
            self._attempt(spool)

    def _attempt(self, spool: Spool) -> None:
        """Connects if need be, and sends all that waits."""
        try:
            if not self._connected:
                self._output.open()
                self._connected = True
            self._signal()
            self._remove(spool)
            while (record := spool.first(self._taken[-1].row if self._taken else 0)) is not None:
                self._send(spool, record)
            if not self._taken:
                self.problem = None
        except Exception as error:  # whatever a library raises: the records wait, the reason is kept
            text = " ".join(str(error).split())
            self.problem = text if isinstance(error, OutputError) else f"{self.name}: {type(error).__name__}: {text}"
            self._connected = False
            self._output.close()

    def _send(self, spool: Spool, record: Waiting) -> None:
        verdict = decode(record.body)
        if isinstance(self._output, DurableOutput):
            self._output.deliver(verdict, record.key)
        else:
            self._output.act(verdict)
        self._taken.append(record)
        self._remove(spool)

    def _remove(self, spool: Spool) -> None:
        """Removes what the peer has. On a full disk that fails: it is tried again, and nothing is sent twice."""
        try:
            while self._taken:
                spool.remove(self._taken[0])
                self._taken.pop(0)
        except OutputError as error:
            self.problem = str(error)
        self.waiting = len(spool) - len(self._taken)

    def _signal(self) -> None:
        """State, heartbeat and safe state: only the newest counts."""
        state, self._state = self._state, None
        if state is not None:
            self._output.state(*state)
        beat, self._beat = self._beat, None
        if beat is not None:
            self._output.beat(beat)
        if self._safe:
            self._safe = False
            self._output.safe()
