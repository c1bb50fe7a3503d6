"""UTF8: the client understands UTF-8 in header fields (RFC 6856 §2).

Messages are sent as they are in either mode. Without UTF8 the standard wants a surrogate or a refusal for
internationalised headers; but clients that never heard of UTF8 show such messages well enough, and a refused RETR stops
their whole session.
"""

from pillarbox.pop3.registry import State, capability, command
from pillarbox.pop3.reply import ok
from pillarbox.pop3.session import Session


@capability("UTF8")
def _announced(_session: Session) -> str:
    return "USER"  # names and passwords may be UTF-8 too (RFC 6856 §2.2)


@command("UTF8", state=State.AUTHORIZATION, rfc="RFC 6856 §2.1", capability="UTF8")
async def utf8(_session: Session, _argument: bytes) -> bytes:
    """Fine: it was always so."""
    return ok("UTF-8 it is")
