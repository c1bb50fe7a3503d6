"""What the registries promise."""

import re

from pillarbox.smtp.engine import COMMANDS, EXTENSIONS
from pillarbox.smtp.registry import MAIL_PARAMETERS, RCPT_PARAMETERS

VERBS = set("HELO EHLO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY EXPN HELP STARTTLS AUTH".split())  # noqa: SIM905
KEYWORDS = set("PIPELINING DSN SIZE 8BITMIME SMTPUTF8 ENHANCEDSTATUSCODES CHUNKING STARTTLS AUTH".split())  # noqa: SIM905


def test_every_verb_is_documented() -> None:
    assert {entry.verb for entry in COMMANDS.values()} == VERBS
    for entry in COMMANDS.values():
        assert re.match(r"RFC \d+", entry.rfc)
        assert entry.summary


def test_every_extension_is_documented() -> None:
    assert set(EXTENSIONS) == KEYWORDS
    for entry in EXTENSIONS.values():
        assert re.fullmatch(r"RFC \d+", entry.rfc)
        assert entry.summary
    assert set(MAIL_PARAMETERS) == {"SIZE", "BODY", "SMTPUTF8", "AUTH", "RET", "ENVID"}
    assert set(RCPT_PARAMETERS) == {"NOTIFY", "ORCPT"}
