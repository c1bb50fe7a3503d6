"""Writes docs/protocols.md from the registries of commands and extensions: `python tools/make_protocols.py [--check]`."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import Flag
from pathlib import Path

from pillarbox.smtp.policy import Policy
from pillarbox.smtp.registry import first_sentence

TARGET = Path(__file__).parent.parent / "docs" / "protocols.md"

_HEAD = """# Protocols

What Pillarbox speaks, generated from the registries in the code by `tools/make_protocols.py`.
Ports: SMTP 25 (other servers), 465 and 587 (submission); POP3 110 and 995; IMAP 143 and 993.
"""


def names(keywords: Iterable[str]) -> str:
    """Keywords as they stand in a table."""
    return ", ".join(f"`{name}`" for name in keywords)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def smtp() -> Iterator[str]:
    """Verbs, EHLO keywords, parameters and limits of SMTP."""
    from pillarbox.smtp.engine import COMMANDS, EXTENSIONS

    yield "## SMTP (RFC 5321, RFC 6409)\n"
    verbs = sorted(COMMANDS.values(), key=lambda entry: entry.verb)
    yield from table(
        ("command", "what it does", "when", "defined in"),
        ((f"`{e.verb}`", e.summary, e.when.value + (", after AUTH on submission" * e.login), e.rfc) for e in verbs),
    )
    yield ""
    yield from table(
        ("EHLO keyword", "what it brings", "parameters of MAIL", "of RCPT", "defined in"),
        (
            (f"`{e.keyword}`", e.summary, names(e.mail_parameters), names(e.rcpt_parameters), e.rfc)
            for e in EXTENSIONS.values()
        ),
    )
    policy = Policy()
    yield ""
    yield from table(
        ("limit", "default"),
        (
            ("message", f"{policy.max_message:,} octets"),
            ("header of a message", f"{policy.max_header:,} octets"),
            ("recipients of a message", str(policy.max_recipients)),
            ("command line", f"{policy.max_command:,} octets"),
            ("line of AUTH", f"{policy.max_auth_line:,} octets"),
            ("malformed or misplaced commands", str(policy.max_errors)),
            ("refused recipients since the last message", str(policy.max_refused_recipients)),
            ("failed logins on one connection", str(policy.max_auth_failures)),
            ("silence between commands", f"{policy.command_timeout:.0f} seconds"),
            ("silence inside a message", f"{policy.data_timeout:.0f} seconds"),
        ),
    )


def imap() -> Iterator[str]:
    """Commands, FETCH items and SEARCH keys of IMAP."""
    from pillarbox.imap import engine  # noqa: F401  (it loads every command)
    from pillarbox.imap.registry import CAPABILITIES, TABLE

    yield "## IMAP (RFC 9051, RFC 3501)\n"
    yield from table(
        ("command", "what it does", "state", "capability"),
        (
            (f"`{e.name}`", _about(e.command), _states(e.state), f"`{e.capability}`" if e.capability else "")
            for e in sorted(TABLE.values(), key=lambda e: (e.name.removeprefix("UID "), e.by_uid))
        ),
    )
    yield ""
    announced = sorted({*CAPABILITIES, *(e.capability for e in TABLE.values() if e.capability)})
    yield "Capabilities: " + ", ".join(f"`{name}`" for name in announced)


def pop3() -> Iterator[str]:
    """Commands and capabilities of POP3."""
    from pillarbox.pop3 import engine  # noqa: F401  (it loads every command)
    from pillarbox.pop3.registry import CAPABILITIES, TABLE

    yield "## POP3 (RFC 1939, RFC 2449)\n"
    yield from table(
        ("command", "what it does", "state", "defined in"),
        (
            (f"`{e.syntax}`", _about(e.run), _states(e.state), e.rfc)
            for e in sorted(TABLE.values(), key=lambda e: e.name)
        ),
    )
    yield ""
    yield "Capabilities: " + ", ".join(f"`{name}`" for name in sorted(CAPABILITIES))


def _about(implementation: object) -> str:
    """What the module of a command says it is."""
    return first_sentence(sys.modules[implementation.__module__].__doc__)


def _states(state: Flag) -> str:
    """The names of the states that a flag holds."""
    names = [member.name.lower().replace("_", " ") for member in type(state) if member in state and member.name]
    return "any" if len(names) == len(type(state)) else ", ".join(names)


def document() -> str:
    """The whole file."""
    sections = ["\n".join(section()) for section in (smtp, imap, pop3)]
    return "\n".join((_HEAD, "\n\n".join(sections), ""))


def main() -> int:
    """Write the file; with --check only say whether it is up to date (exit status 1: it is not)."""
    text = document()
    if "--check" in sys.argv:
        current = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
        if current != text:
            print(f"{TARGET.name} is out of date: run python tools/make_protocols.py")
            return 1
        return 0
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
