"""Asking for a new password: hidden and twice on a terminal, or one line of standard input.

Security: never an option or argument, which other people of the machine could read in the list of processes.
"""

import sys

from pillarbox.cli.problem import WRONG, Problem
from pillarbox.sasl.secret import Secret

SHORTEST = 8
"""Characters (NIST SP 800-63B-4 §3.1.1.2 lets no password be shorter)."""


def ask(address: str, *, from_stdin: bool) -> Secret:
    """The new password of `address`; Problem when it will not do."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = _twice(address)
    else:
        raise Problem(
            "There is no terminal to ask for the password on.",
            next_step="Pipe it in: printf %s PASSWORD | pillarbox account ... --password-stdin",
            status=WRONG,
        )
    if len(password) < SHORTEST:
        raise Problem(
            f"This password is too short: it has {len(password)} characters.",
            "Strangers may try passwords on every mail port of this server.",
            f"Take at least {SHORTEST} characters; several words in a row are good and easy to type.",
            status=WRONG,
        )
    if any(ord(c) < 32 or ord(c) == 127 for c in password):
        raise Problem(
            "This password contains a control character.",
            next_step="Take letters, digits, signs and spaces.",
            status=WRONG,
        )
    return Secret(password)


def _twice(address: str) -> str:
    from getpass import getpass

    password = getpass(f"New password for {address}: ")
    if getpass("The same again: ") != password:
        raise Problem("The two passwords differ.", next_step="Nothing was changed. Try once more.")
    return password
