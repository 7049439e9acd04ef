"""placeholder."""

NAME = "demo"


def main() -> None:
    """Not there yet."""
    raise SystemExit(2)
