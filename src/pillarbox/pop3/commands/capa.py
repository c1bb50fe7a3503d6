"""CAPA: what this server can do (RFC 2449 §5), and the capabilities that no command brings."""

import pillarbox
from pillarbox.pop3.registry import CAPABILITIES, State, capability, command
from pillarbox.pop3.reply import listing
from pillarbox.pop3.session import Session


@command("CAPA", state=State.ANY, rfc="RFC 2449 §5")
async def capa(session: Session, _argument: bytes) -> bytes:
    """One line for each capability that is true now."""
    lines = []
    for tag, arguments in CAPABILITIES.items():
        value = arguments(session)
        if value is not None:
            lines.append(f"{tag} {value}" if value else tag)
    return listing("Capabilities follow", lines)


@capability("PIPELINING")
@capability("RESP-CODES")
@capability("AUTH-RESP-CODE")
def _always(_session: Session) -> str:
    return ""


@capability("EXPIRE")
def _expire(_session: Session) -> str:
    return "NEVER"  # RFC 2449 §6.7: the server does not delete messages by itself


@capability("LOGIN-DELAY")
def _login_delay(_session: Session) -> str:
    return "0"


@capability("IMPLEMENTATION")
def _implementation(session: Session) -> str | None:
    """Not for strangers: a version tells them what to try."""
    return f"Pillarbox-{pillarbox.__version__}" if session.state is State.TRANSACTION else None
