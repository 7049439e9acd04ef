"""``python tests/device BUNDLE`` is ``edgeirf selftest BUNDLE``."""

import sys

from edgeirf.cli import main

sys.argv[:1] = ["edgeirf", "selftest"]
main()
