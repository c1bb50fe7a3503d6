"""What a person types."""


def main() -> None:
    """Entry point of the `pillarbox` command."""
    raise SystemExit("not built yet")
