"""One mail transaction as a client sees it: what is sent, and what became of each recipient."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pillarbox.mail.status import Reply

NO_UTF8 = Reply(550, "5.6.7", "the next server cannot handle internationalised mail (SMTPUTF8)")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_DSN_VALUE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Recipient:
    """A forward-path and its parameters (NOTIFY and ORCPT go to servers that offer DSN, RFC 3461)."""

    address: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Transaction:
    """`size` in octets. `eight_bit`: the body may have octets above 127. `utf8`: the header has them.

    `outcomes` has one entry for each recipient, None until it is decided. `notifying`: the server that took it offers DSN, so
    the sender's wishes about notifications are its business now (RFC 3461 §5.2.1).
    """

    reverse_path: str
    recipients: Sequence[Recipient]
    size: int
    eight_bit: bool = False
    utf8: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    outcomes: list[Reply | None] = field(default_factory=list)
    notifying: bool = False

    def __post_init__(self) -> None:
        self.outcomes = [None] * len(self.recipients)

    @property
    def needs_utf8(self) -> bool:
        """Whether it can only go to a server that offers SMTPUTF8 (RFC 6531 §3.2)."""
        return self.utf8 or not all(a.isascii() for a in (self.reverse_path, *(r.address for r in self.recipients)))

    def refusal(self, extensions: Mapping[str, str]) -> Reply | None:
        """Why it need not even be tried at a server with these extensions, if so."""
        if any(_CONTROL.search(a) for a in (self.reverse_path, *(r.address for r in self.recipients))):
            return Reply(550, "5.1.3", "an address of the envelope has control characters in it")
        if self.needs_utf8 and "SMTPUTF8" not in extensions:
            return NO_UTF8
        limit = extensions.get("SIZE", "")
        if limit.isdigit() and len(limit) < 20 and 0 < int(limit) < self.size:
            return Reply(552, "5.3.4", f"the message has {self.size} octets, the next server takes {int(limit)}")
        return None

    def mail(self, extensions: Mapping[str, str]) -> bytes:
        """The MAIL command.

        A body with octets above 127 is sent as it is even where 8BITMIME is not offered: hardly a server is left that
        would change them, while re-encoding breaks the signatures on a message (RFC 6152 §3 leaves these two ways).
        """
        words = [f"MAIL FROM:<{self.reverse_path}>"]
        if "SIZE" in extensions:
            words.append(f"SIZE={self.size}")
        if self.eight_bit and "8BITMIME" in extensions:
            words.append("BODY=8BITMIME")
        if self.needs_utf8:
            words.append("SMTPUTF8")
        if "DSN" in extensions:
            words += _dsn(self.parameters, ("RET", "ENVID"))
        return (" ".join(words) + "\r\n").encode()

    def rcpt(self, recipient: Recipient, extensions: Mapping[str, str]) -> bytes:
        """One RCPT command."""
        words = [f"RCPT TO:<{recipient.address}>"]
        if "DSN" in extensions:
            words += _dsn(recipient.parameters, ("NOTIFY", "ORCPT"))
        return (" ".join(words) + "\r\n").encode()

    def decide(self, reply: Reply) -> None:
        """Everyone who has no outcome yet gets this one."""
        self.outcomes = [reply if outcome is None else outcome for outcome in self.outcomes]

    @property
    def undecided(self) -> list[int]:
        """Positions of the recipients without an outcome."""
        return [i for i, outcome in enumerate(self.outcomes) if outcome is None]


def _dsn(parameters: Mapping[str, str], names: Sequence[str]) -> list[str]:
    return [f"{n}={parameters[n]}" for n in names if n in parameters and _DSN_VALUE.fullmatch(parameters[n])]
