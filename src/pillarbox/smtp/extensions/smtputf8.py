"""SMTPUTF8 (RFC 6531): addresses and headers in UTF-8."""

from pillarbox.mail.status import Refused, Reply
from pillarbox.smtp.registry import Extension, extension
from pillarbox.smtp.session import Session


def _check(_session: Session, value: str) -> None:
    if value:
        raise Refused(Reply(501, "5.5.4", "SMTPUTF8 takes no value"))


SMTPUTF8 = extension(
    Extension("SMTPUTF8", "RFC 6531", "addresses and headers in UTF-8", mail_parameters={"SMTPUTF8": _check})
)
