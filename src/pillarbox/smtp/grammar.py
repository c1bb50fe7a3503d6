"""Grammar of SMTP commands (RFC 5321 §4.1.1, §4.1.2): paths, parameters, names of hosts.

Security: strangers feed this. Every pattern is linear; only Refused leaves. Replies never repeat what was sent.
"""

import re
from collections.abc import Mapping

from pillarbox.mail.address import Address, BadAddress
from pillarbox.mail.status import Refused, Reply

# Path = "<" [ A-d-l ":" ] Mailbox ">" (RFC 5321 §4.1.2). Outlook 365 puts a space before it.
_PATH = re.compile(r' *<(?:@[^:<>"\s]+:)?((?:"(?:[^"\\]|\\.)*"|[^<>"\s])*)>(?= |$)')

# esmtp-param = esmtp-keyword ["=" esmtp-value]
_PARAMETER = re.compile(r" +([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20=\x7f]+))?(?= |$)")

# Domain / address-literal; underscores are common in real host names.
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,254})|\[(?:IPv6:[0-9A-Fa-f:.]+|[0-9.]+)\]")
# Mail programs say whatever their system calls itself, bare IPv6 literals included.
_ANY_HOST = re.compile(r"[\x21-\x7e]{1,255}")


def malformed(enhanced: str, text: str) -> Refused:
    """A syntax error in a command's arguments (501)."""
    return Refused(Reply(501, enhanced, text))


def host(text: str, *, lenient: bool) -> str:
    """The argument of HELO or EHLO. Raises Refused."""
    if not (_ANY_HOST if lenient else _HOST).fullmatch(text):
        raise malformed("5.5.4", "Give the name of your host, or its address in brackets")
    return text


def path(text: str, prefix: str, *, complaint: str) -> tuple[str, int]:
    """What is inside the angle brackets after `prefix` ("FROM:", "TO:"), source route removed, and where it ended.

    `complaint` is the enhanced code of the refusal. Raises Refused.
    """
    found = _PATH.match(text, len(prefix)) if text[: len(prefix)].upper() == prefix else None
    if found is None:
        raise malformed(complaint, f"The form is {prefix}<name@domain>")
    return found[1], found.end()


def address(text: str, *, complaint: str) -> Address:
    """A mailbox's address. Raises Refused with the enhanced code `complaint` (5.1.7 for senders, 5.1.3 for recipients)."""
    try:
        return Address.parse(text)
    except BadAddress as bad:
        raise malformed(complaint, f"Malformed address: {bad}") from None


def parameters(text: str, start: int) -> Mapping[str, str]:
    """Parameters of MAIL or RCPT from `start` to the end: upper-case keyword to value, "" where there is none.

    Raises Refused.
    """
    found: dict[str, str] = {}
    position = start
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None:
            raise malformed("5.5.4", "Malformed parameters")
        keyword = match[1].upper()
        if keyword in found:
            raise malformed("5.5.4", "A parameter is given twice")
        found[keyword] = match[2] or ""
        position = match.end()
    return found


def no_arguments(text: str) -> None:
    """Raises Refused when a command that takes none has arguments."""
    if text:
        raise malformed("5.5.4", "This command takes no arguments")
