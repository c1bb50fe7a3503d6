"""`python -m pillarbox` is the `pillarbox` command."""

from pillarbox.cli import main

main()
