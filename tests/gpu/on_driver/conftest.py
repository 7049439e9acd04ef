"""The tests in ``inside`` run in child processes, on the stand-in driver: see ``test_on_standin.py``."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("EDGEIRF_STANDIN") else ["inside"]
