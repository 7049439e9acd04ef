"""placeholder."""

NAME = "run"


def main() -> None:
    """Not there yet."""
    raise SystemExit(2)
