"""The tests in ``inside`` run in child processes, on the stand-in driver: see ``test_on_standin.py``.

The helpers beside the tests (``shim``, ``ptx``) are imported by name.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

collect_ignore_glob = [] if os.environ.get("EDGEIRF_STANDIN") else ["inside"]
