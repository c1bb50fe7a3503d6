"""8BITMIME (RFC 6152): bodies with octets above 127. Such octets are taken whether they were declared or not."""

from pillarbox.mail.status import Refused, Reply
from pillarbox.smtp.registry import Extension, extension
from pillarbox.smtp.session import Session


def _check(_session: Session, value: str) -> None:
    if value.upper() not in ("7BIT", "8BITMIME"):
        raise Refused(Reply(501, "5.5.4", "BODY is 7BIT or 8BITMIME"))


EIGHTBITMIME = extension(
    Extension("8BITMIME", "RFC 6152", "bodies may have octets above 127", mail_parameters={"BODY": _check})
)
