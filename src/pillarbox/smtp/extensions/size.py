"""SIZE (RFC 1870): the limit is announced, and a message declared to be larger is refused before it is sent."""

from pillarbox.mail.status import Refused, Reply
from pillarbox.smtp.body import TOO_LARGE
from pillarbox.smtp.registry import Extension, extension
from pillarbox.smtp.session import Session


def _check(session: Session, value: str) -> None:
    # size-value = 1*20DIGIT
    if not (value.isascii() and value.isdigit() and len(value) <= 20):
        raise Refused(Reply(501, "5.5.4", "SIZE is a number of octets"))
    if int(value) > session.policy.max_message:
        raise Refused(TOO_LARGE)


SIZE = extension(
    Extension(
        "SIZE",
        "RFC 1870",
        "the largest message taken, in octets",
        offer=lambda session: str(session.policy.max_message),
        mail_parameters={"SIZE": _check},
    )
)
