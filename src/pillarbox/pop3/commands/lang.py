"""LANG: the language of the texts (RFC 6856 §3). There is one: English, which is also the default."""

from pillarbox.pop3.errors import Refused
from pillarbox.pop3.registry import State, command
from pillarbox.pop3.reply import listing, ok
from pillarbox.pop3.session import Session

LANGUAGES = {"i-default": "Default", "en": "English"}


@command("LANG [language]", state=State.ANY, rfc="RFC 6856 §3", capability="LANG")
async def lang(_session: Session, argument: bytes) -> bytes:
    """`*` is what the administrator prefers; en-GB and the like are English (RFC 4647 §3.3.1, the other way round)."""
    wanted = argument.strip().decode("latin-1").lower()
    if not wanted:
        return listing("Languages follow", [f"{tag} {name}" for tag, name in LANGUAGES.items()])
    if wanted == "*":
        return ok("i-default The language is English")
    for tag in LANGUAGES:
        if wanted == tag or wanted.startswith(f"{tag}-"):
            return ok(f"{tag} The language is English")
    raise Refused("There is no such language here")
