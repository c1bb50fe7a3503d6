"""AUTH (RFC 4954), offered on submission inside TLS only; never to other servers."""

from pillarbox.sasl.registry import offered
from pillarbox.smtp.registry import Extension, extension
from pillarbox.smtp.session import Session


def _offer(session: Session) -> str | None:
    if not session.can_authenticate or session.client.identity is not None:
        return None
    now = offered(session.tls)
    return " ".join(name for name in session.policy.mechanisms if name in now)


def _check(_session: Session, _value: str) -> None:
    """Who else authenticated the sender (RFC 4954 §5): taken and not trusted, as if it were `<>`."""


AUTH = extension(Extension("AUTH", "RFC 4954", "logging in", offer=_offer, mail_parameters={"AUTH": _check}))
