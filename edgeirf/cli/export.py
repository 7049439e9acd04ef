"""placeholder."""

NAME = "export"


def main() -> None:
    """Not there yet."""
    raise SystemExit(2)
