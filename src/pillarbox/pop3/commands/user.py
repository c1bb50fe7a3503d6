"""USER and PASS (RFC 1939 §7), inside TLS only."""

from pillarbox.pop3.errors import BadSyntax, Refused
from pillarbox.pop3.registry import State, capability, command
from pillarbox.pop3.reply import ok
from pillarbox.pop3.session import NO_TLS, Session
from pillarbox.sasl.secret import Secret


@capability("USER")
def _announced(session: Session) -> str | None:
    return "" if session.link.tls is not None else None


@command("USER name", state=State.AUTHORIZATION, rfc="RFC 1939 §7", capability="USER")
async def user(session: Session, argument: bytes) -> bytes:
    """Whatever the name is, it is fine until PASS: nobody learns here which names exist."""
    name = _text(argument).strip()
    if not name and session.link.tls is not None:
        raise BadSyntax("A name is expected")
    session.username = name  # outside of TLS it serves to warn its owner; STLS forgets it
    if session.link.tls is None:
        raise Refused(NO_TLS)
    return ok("Now the password")


@command("PASS password", state=State.AUTHORIZATION, rfc="RFC 1939 §7")
async def password(session: Session, argument: bytes) -> bytes:
    """The password is everything after the first space, further spaces included."""
    name, session.username = session.username, None
    if session.link.tls is None:
        session.link.emit("password_in_clear", command="PASS")
        if name:
            session.credentials.typed_in_clear(name, Secret(_text(argument)))
        raise Refused(NO_TLS)
    if name is None:
        raise BadSyntax("USER comes first")
    secret = Secret(_text(argument))
    return await session.login("USER", session.credentials.check_password(name, secret))


def _text(argument: bytes) -> str:
    try:
        return argument.decode()  # RFC 6856 §2.2: UTF-8, and nothing else
    except UnicodeDecodeError:
        raise BadSyntax("Names and passwords are UTF-8") from None
