"""Writes delivery status notifications: bounces and warnings (RFC 3464 in RFC 6522's multipart/report; RFC 6533 for UTF-8).

Security: texts from other servers and from the returned message go into it; each becomes one line without control
characters, and what is returned stays a part of its own that nobody has to parse.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import Enum

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_RETURNED_FIELD = re.compile(rb"(?im)^(message-id|subject):[ \t]*((?:[^\r\n]|\r?\n[ \t])*)")
WIDTH = 78
MAX_HEADER = 64 * 1024
"""Octets of a returned header; some are megabytes of nonsense."""


class Action(Enum):
    """What happened to a recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    """Handed to a server that does not notify."""
    EXPANDED = "expanded"
    """Delivered to an alias that stands for several addresses."""


_GRAVITY = (Action.FAILED, Action.DELAYED, Action.RELAYED, Action.EXPANDED, Action.DELIVERED)
_SUBJECTS = {
    Action.FAILED: "Your message was not delivered",
    Action.DELAYED: "Your message is delayed",
    Action.RELAYED: "Your message was passed on",
    Action.EXPANDED: "Your message was delivered",
    Action.DELIVERED: "Your message was delivered",
}
_CONFIRMED = ["This is the confirmation that you asked for. Your message is on its way or there:"]
_OPENINGS = {
    Action.FAILED: ["Your message could not be delivered to:"],
    Action.DELAYED: ["Your message has not been delivered yet to the following addresses.", "It is still being tried."],
    Action.RELAYED: _CONFIRMED,
    Action.EXPANDED: _CONFIRMED,
    Action.DELIVERED: _CONFIRMED,
}


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """`status` as 5.1.1; `diagnostic` what the other server said (a reply), "" when it was our own decision.

    `reason` is for people. `retry_until`: epoch seconds, for a delay. `original_recipient` as the sender gave it, with its type
    (`rfc822;a@b.example`); "" when unknown.
    """

    address: str
    action: Action
    status: str
    reason: str
    diagnostic: str = ""
    remote_host: str = ""
    last_attempt: float | None = None
    retry_until: float | None = None
    original_recipient: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One notification. `returned` begins with the message's header; it goes back whole if `whole`, else its header only.

    `host`: our name; `sender`: whom it goes to; `message_id` with angle brackets; times in epoch seconds; `boundary` must
    not occur in what is returned (a random one does not).
    """

    host: str
    sender: str
    queue_id: str
    arrived: float
    now: float
    message_id: str
    boundary: str
    recipients: Sequence[RecipientReport]
    returned: bytes
    whole: bool
    envelope_id: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def gravest(self) -> Action:
        """The worst of what is reported."""
        return min((r.action for r in self.recipients), key=_GRAVITY.index)

    @property
    def utf8(self) -> bool:
        """Whether it can only travel with SMTPUTF8."""
        addresses = (self.sender, *(r.address + r.original_recipient for r in self.recipients))
        return not all(a.isascii() for a in addresses) or not _header(self.returned).isascii()


def compose(report: Report) -> bytes:
    """The notification as a message, line ends CRLF."""
    kind = "global-delivery-status" if report.utf8 else "delivery-status"
    parts = [
        ("text/plain; charset=utf-8", "8bit", _text(report).encode()),
        (f"message/{kind}", "8bit" if report.utf8 else "7bit", _status(report).encode()),
        _returned(report),
    ]
    octets = [_fields(report).encode()]
    boundary = report.boundary.encode()
    for content_type, encoding, body in parts:
        octets.append(b"--%b\r\nContent-Type: %b\r\n" % (boundary, content_type.encode()))
        octets.append(b"Content-Transfer-Encoding: %b\r\n\r\n%b" % (encoding.encode(), body))
        octets.append(b"\r\n" if body.endswith(b"\r\n") else b"\r\n\r\n")
    octets.append(b"--%b--\r\n" % boundary)
    return b"".join(octets)


def _fields(report: Report) -> str:
    original = dict(_original_fields(report.returned))
    what = _SUBJECTS[report.gravest]
    subject = original.get("subject", "")
    if subject.isascii() and 0 < len(subject) <= WIDTH:
        what += f": {subject}"
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{report.host}>",
        f"To: <{_line(report.sender)}>",
        f"Subject: {what}",
        f"Date: {formatdate(report.now)}",
        f"Message-ID: {report.message_id}",
    ]
    if re.fullmatch(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,250}>", original.get("message-id", "")):
        lines += [f"In-Reply-To: {original['message-id']}", f"References: {original['message-id']}"]
    report_type = "delivery-status"
    lines += [
        "Auto-Submitted: auto-replied",  # RFC 3834 §5
        *(f"{name}: {value}" for name, value in report.fields.items()),
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type={report_type};\r\n boundary="{report.boundary}"',
        "",
        "",
    ]
    return "\r\n".join(lines)


def _text(report: Report) -> str:
    gravest = report.gravest
    lines = [f"This is the mail server {report.host}.", "", *_OPENINGS[gravest], ""]
    for recipient in report.recipients:
        failed = gravest is Action.FAILED
        late = " (only late; it is still being tried)" if failed and recipient.action is Action.DELAYED else ""
        lines += [f"  {_line(recipient.address)}{late}", f"    {_line(recipient.reason)}"]
        if recipient.diagnostic:
            who = f"{recipient.remote_host} said" if recipient.remote_host else "the answer was"
            lines.append(f"    {_line(who)}: {_line(recipient.diagnostic)}")
        if recipient.retry_until is not None:
            lines.append(f"    It will be tried until {formatdate(recipient.retry_until)}.")
        lines.append("")
    lines += [f"The message was accepted on {formatdate(report.arrived)}; its queue id is {report.queue_id}.", ""]
    if gravest is Action.DELAYED:
        lines += ["You need not do anything: you will be told if it fails in the end.", ""]
    return "\r\n".join(lines)


def _status(report: Report) -> str:
    """The machine-readable part (RFC 3464 §2)."""
    blocks = [[f"Reporting-MTA: dns; {report.host}", f"Arrival-Date: {formatdate(report.arrived)}"]]
    if report.envelope_id:
        blocks[0].insert(0, f"Original-Envelope-Id: {_line(report.envelope_id)}")
    for recipient in report.recipients:
        kind = "rfc822" if recipient.address.isascii() else "utf-8"
        block = [f"Original-Recipient: {_line(recipient.original_recipient)}"] if recipient.original_recipient else []
        block += [
            f"Final-Recipient: {kind}; {_line(recipient.address)}",
            f"Action: {recipient.action.value}",
            f"Status: {recipient.status}",
        ]
        if recipient.remote_host:
            block.append(f"Remote-MTA: dns; {_line(recipient.remote_host)}")
        if recipient.diagnostic:
            diagnostic = _line(recipient.diagnostic)
            block.append("Diagnostic-Code: smtp; " + (diagnostic if report.utf8 else _ascii(diagnostic)))
        if recipient.last_attempt is not None:
            block.append(f"Last-Attempt-Date: {formatdate(recipient.last_attempt)}")
        if recipient.retry_until is not None:
            block.append(f"Will-Retry-Until: {formatdate(recipient.retry_until)}")
        blocks.append(block)
    return "\r\n\r\n".join("\r\n".join(block) for block in blocks) + "\r\n"


def _returned(report: Report) -> tuple[str, str, bytes]:
    """Content type, encoding and octets of what goes back."""
    octets = report.returned if report.whole else _header(report.returned)
    ascii_header = _header(report.returned).isascii()
    if report.whole:
        kind = "message/rfc822" if ascii_header else "message/global"
    else:
        kind = "text/rfc822-headers" if ascii_header else "message/global-headers"
    return kind, "7bit" if octets.isascii() else "8bit", octets


def _header(octets: bytes) -> bytes:
    end = octets.find(b"\r\n\r\n")
    if 0 <= end <= MAX_HEADER:
        return octets[: end + 2]
    cut = octets.rfind(b"\r\n", 0, MAX_HEADER)
    return octets[: cut + 2] if cut >= 0 else octets[:MAX_HEADER]


def _original_fields(octets: bytes) -> list[tuple[str, str]]:
    return [
        (name.decode().lower(), _line(re.sub(rb"\r?\n[ \t]", b" ", value).decode("utf-8", "replace")).strip())
        for name, value in _RETURNED_FIELD.findall(_header(octets))
    ]


def _line(text: str) -> str:
    """One line without control characters."""
    return _CONTROL.sub(" ", text)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
