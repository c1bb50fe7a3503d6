"""How texts are compared in a search: without regard to case, accents' spelling and kinds of white space (RFC 5051)."""

import unicodedata


def folded(text: str) -> str:
    """The form that a substring is looked for in, and that it is brought into itself."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKD", text).casefold()
