"""``python -m edgeirf``."""

from edgeirf.entry import main

if __name__ == "__main__":
    main()
