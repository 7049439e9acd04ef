"""placeholder."""

NAME = "eval"


def main() -> None:
    """Not there yet."""
    raise SystemExit(2)
