"""``python -m edgeirf``."""

from edgeirf.cli import main

if __name__ == "__main__":
    main()
