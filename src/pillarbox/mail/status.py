"""Reply: the one value that says how an SMTP operation ended (RFC 5321 §4.2, RFC 3463)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply code, an enhanced status code ("" for none) and text; lines of text are split by newlines."""

    code: int
    enhanced: str
    text: str

    @property
    def is_success(self) -> bool:
        """2yz or 3yz."""
        return self.code < 400

    @property
    def is_permanent(self) -> bool:
        """5yz: trying again unchanged is pointless."""
        return self.code >= 500

    def encode(self) -> bytes:
        """The reply as it goes over the wire, CRLF included; several lines where the text has several."""
        prefix = f"{self.enhanced} " if self.enhanced else ""
        if "\n" not in self.text:
            return f"{self.code} {prefix}{self.text}\r\n".encode("utf-8", "replace")
        lines = self.text.split("\n")
        last = len(lines) - 1
        return "".join(
            f"{self.code}{' ' if i == last else '-'}{prefix}{line}\r\n" for i, line in enumerate(lines)
        ).encode("utf-8", "replace")

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}".replace("  ", " ").replace("\n", " / ")


class Refused(Exception):
    """An operation was refused for a known reason; `reply` is what the peer is told."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply
