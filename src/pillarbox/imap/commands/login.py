"""LOGIN (RFC 9051 §6.2.3). Refused before TLS: the capability line says LOGINDISABLED there.

Security: the password is a Secret from the parser on.
"""

from dataclasses import dataclass
from typing import Self

from pillarbox.imap.capabilities import capabilities
from pillarbox.imap.errors import Refused
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.registry import State, command
from pillarbox.imap.response import Completion, no, ok
from pillarbox.imap.session import Session
from pillarbox.sasl.api import AuthenticationFailed, AuthenticationUnavailable
from pillarbox.sasl.secret import Secret
from pillarbox.wire.outbox import Outbox


@command("LOGIN", state=State.NOT_AUTHENTICATED, private=True)
@dataclass(frozen=True, slots=True)
class Login:
    """A name and a password, in the clear but for TLS."""

    name: str
    password: Secret

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        # Clients quote passwords as they are typed, although only a literal may hold UTF-8 in IMAP4rev1.
        cursor.utf8 = True
        return cls(cursor.sp().text(), Secret(cursor.sp().text()))

    async def run(self, session: Session, out: Outbox) -> Completion:
        if session.link.tls is None:
            session.link.emit("password_in_clear", command="LOGIN")
            session.credentials.typed_in_clear(self.name, self.password)
            raise Refused("Passwords are taken inside TLS only: use STARTTLS, or port 993", "PRIVACYREQUIRED")
        try:
            identity = await session.credentials.check_password(self.name, self.password)
        except AuthenticationFailed:
            return session.login_failed("LOGIN")
        except AuthenticationUnavailable as reason:
            session.link.emit("login_failed", mechanism="LOGIN", reason=str(reason))
            return no(str(reason), "UNAVAILABLE")
        session.log_in(identity, "LOGIN")
        return ok("Logged in", f"CAPABILITY {capabilities(session)}")
