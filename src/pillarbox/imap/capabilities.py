"""The CAPABILITY line, from the tables (RFC 9051 §6.1.1, §7.2.2). What it holds depends on TLS and on the login."""

from functools import lru_cache

from pillarbox.imap.registry import CAPABILITIES, TABLE, capability
from pillarbox.imap.session import Session
from pillarbox.sasl.registry import offered

capability("LITERAL+", before_login=True)
capability("SASL-IR", before_login=True)
capability("UIDPLUS", "CHILDREN", "CONDSTORE", "UTF8=ACCEPT")


def capabilities(session: Session) -> str:
    """The line's words for the session's present state."""
    policy = session.policy
    return _words(
        offered(session.link.tls),
        policy.hidden,
        policy.max_message,
        inside_tls=session.link.tls is not None,
        logged_in=session.identity is not None,
    )


@lru_cache(maxsize=16)
def _words(
    mechanisms: tuple[str, ...], hidden: frozenset[str], max_message: int, *, inside_tls: bool, logged_in: bool
) -> str:
    words = ["IMAP4rev2", "IMAP4rev1"]
    words += sorted(name for name, early in CAPABILITIES.items() if early or logged_in)
    if not logged_in:
        words += [] if inside_tls else ["STARTTLS", "LOGINDISABLED"]
        words += [f"AUTH={name}" for name in mechanisms]
    else:
        words += sorted(entry.capability for entry in TABLE.values() if entry.capability)
        words.append(f"APPENDLIMIT={max_message}")  # RFC 7889
    return " ".join(dict.fromkeys(word for word in words if word not in hidden))
