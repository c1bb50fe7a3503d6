"""What a person types: `pillarbox demo | tour | serve | config | account | domain | alias | queue | metrics | fsck`.

Each group of commands is one module. Whatever is slow to import is imported inside the command that needs it, so that
`pillarbox --help` answers at once.
"""


def main() -> None:
    """Entry point of the `pillarbox` command."""
    from pillarbox.cli.app import run

    run()
