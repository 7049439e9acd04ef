"""placeholder."""

NAME = "info"


def main() -> None:
    """Not there yet."""
    raise SystemExit(2)
