"""placeholder."""

NAME = "train"


def main() -> None:
    """Not there yet."""
    raise SystemExit(2)
