"""DSN (RFC 3461; RFC 6533 for addresses in UTF-8): senders say about what they want to be notified, and how.

Security: on submission only. On port 25 a stranger with a forged sender could make us send confirmations to others.
"""

import re

from pillarbox.mail import xtext
from pillarbox.mail.status import Refused, Reply
from pillarbox.smtp.registry import Extension, extension
from pillarbox.smtp.session import Session

MAX_ENVID, MAX_ORCPT = 100, 500
"""Characters (RFC 3461 §5.4)."""

_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,9}", re.IGNORECASE)
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]+")

_NOT_HERE = Reply(555, "5.5.4", "DSN is for our own accounts: submit the message on port 465 or 587")
_BAD_NOTIFY = Reply(501, "5.5.4", "NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY")
_BAD_ORCPT = Reply(501, "5.5.4", f"ORCPT is a type, ; and an address as xtext, {MAX_ORCPT} characters at most")
_BAD_RET = Reply(501, "5.5.4", "RET is FULL or HDRS")
_BAD_ENVID = Reply(501, "5.5.4", f"ENVID is xtext, 1 to {MAX_ENVID} characters")


def _demand(session: Session, complaint: Reply, *, valid: bool) -> None:
    if not session.policy.submission:
        raise Refused(_NOT_HERE)
    if not valid:
        raise Refused(complaint)


def _check_notify(session: Session, value: str) -> None:
    _demand(session, _BAD_NOTIFY, valid=_NOTIFY.fullmatch(value) is not None)


def _check_orcpt(session: Session, value: str) -> None:
    kind, semicolon, address = value.partition(";")
    if kind.lower() == "utf-8" and session.transaction is not None and session.transaction.utf8:
        address = "".join(letter for letter in address if letter.isascii())  # utf-8-addr-unitext (RFC 6533 §3)
    well_formed = bool(semicolon) and _ADDRESS_TYPE.fullmatch(kind) is not None and xtext.is_printable(address)
    _demand(session, _BAD_ORCPT, valid=well_formed and len(value) <= MAX_ORCPT)


def _check_ret(session: Session, value: str) -> None:
    _demand(session, _BAD_RET, valid=value.upper() in ("FULL", "HDRS"))


def _check_envid(session: Session, value: str) -> None:
    _demand(session, _BAD_ENVID, valid=0 < len(value) <= MAX_ENVID and xtext.is_printable(value))


DSN = extension(
    Extension(
        "DSN",
        "RFC 3461",
        "about what the sender is notified: success, failure, delay, or nothing",
        offer=lambda session: "" if session.policy.submission else None,
        mail_parameters={"RET": _check_ret, "ENVID": _check_envid},
        rcpt_parameters={"NOTIFY": _check_notify, "ORCPT": _check_orcpt},
    )
)
