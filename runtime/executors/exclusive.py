"""One lock in the process for what must not meet: building or loading an engine, and capturing a CUDA graph.

TensorRT waits for the whole context while it builds and loads. While any stream of the context is being captured, the
driver refuses such a wait with error 900 and throws the capture away, whichever thread waits.
"""

from __future__ import annotations

import threading

EXCLUSIVE = threading.RLock()
"""A frame that would capture does not wait for this lock: it runs without a graph, and a later one captures."""
