"""Checks of the whole runtime on the user's own GPU: ``edgeirf selftest BUNDLE``.

A check that cannot run here is skipped with the reason. Nothing is sent anywhere; the report names the GPU, the
processor and the versions of the libraries, and holds no image.
"""

from edgeirf.runtime.selftest.checks import checks, to_json
from edgeirf.runtime.selftest.outcome import Failed, Outcome, Skip, run

__all__ = ["Failed", "Outcome", "Skip", "checks", "run", "to_json"]
