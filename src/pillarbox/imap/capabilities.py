"""The CAPABILITY line, from the tables (RFC 9051 §6.1.1, §7.2.2). What it holds depends on TLS and on the login."""

from pillarbox.imap.registry import CAPABILITIES, TABLE, capability
from pillarbox.imap.session import Session
from pillarbox.sasl.registry import offered

capability("LITERAL+", before_login=True)
capability("SASL-IR", before_login=True)
capability("UIDPLUS", "CHILDREN", "CONDSTORE", "UTF8=ACCEPT")


def capabilities(session: Session) -> str:
    """The line's words for the session's present state."""
    words = ["IMAP4rev2", "IMAP4rev1"]
    logged_in = session.identity is not None
    words += sorted(name for name, early in CAPABILITIES.items() if early or logged_in)
    if not logged_in:
        words += ["STARTTLS", "LOGINDISABLED"] if session.link.tls is None else []
        words += [f"AUTH={name}" for name in offered(session.link.tls)]
    else:
        words += sorted(entry.capability for entry in TABLE.values() if entry.capability)
        words.append(f"APPENDLIMIT={session.policy.max_message}")  # RFC 7889
    hidden = session.policy.hidden
    return " ".join(dict.fromkeys(word for word in words if word not in hidden))
