"""Errors for people: what happened, why, what to do next, and an exit status for scripts.

Exit statuses: 0 done; 1 it was refused or failed; 2 typed wrongly (also a bad configuration); 3 not now, try again
later (the store is in use, the disk is full); 130 interrupted.
"""

REFUSED = 1
WRONG = 2
LATER = 3


class Problem(Exception):
    """Ends a command. `what` happened, `why`, and what to do `next`: each a sentence, the last two may be missing."""

    def __init__(self, what: str, why: str = "", next_step: str = "", *, status: int = REFUSED) -> None:
        super().__init__(what)
        self.what, self.why, self.next_step, self.status = what, why, next_step, status


def show(problem: Problem) -> None:
    """Write it to standard error."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text.assemble(("error: ", "bold red"), (problem.what, "bold")))
    if problem.why:
        console.print(Text(f"  why: {problem.why}"))
    if problem.next_step:
        console.print(Text.assemble(("  next: ", "green"), problem.next_step))
