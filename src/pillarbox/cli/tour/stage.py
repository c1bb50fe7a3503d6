"""How the tour looks: scenes with headings, the lines of a conversation with notes, and whether each step held."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from pillarbox.cli.tour.wire import Wire


class DidNotHold(Exception):
    """A step went otherwise than the tour promised."""


@dataclass(slots=True)
class Outcome:
    """What the summary shows of one scene."""

    port: int
    title: str
    shown: list[str] = field(default_factory=list)
    failure: str = ""
    wires: list[Wire] = field(default_factory=list)


class Stage:
    """Writes scenes to a console and collects their outcomes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.outcomes: list[Outcome] = []

    def scene(self, port: int, title: str, text: str) -> "Scene":
        """The next scene; to be used as a context manager, which catches what does not hold."""
        outcome = Outcome(port, title)
        self.outcomes.append(outcome)
        self.console.print()
        heading = Text.assemble((f" {port} ", "bold white on blue"), ("  " + title, "bold"))
        self.console.print(Rule(heading, align="left", style="blue"))
        self.prose(text)
        return Scene(self, outcome)

    def prose(self, text: str) -> None:
        """A paragraph with markup."""
        self.console.print(Padding(text.replace("\n", " "), (0, 2), expand=False), highlight=False)

    def line(self, who: str, text: str, style: str) -> None:
        """One line of a conversation."""
        self.console.print(
            Text.assemble((f"{who:>10} ", f"bold {style}"), (text, style)), overflow="ellipsis", no_wrap=True
        )

    def note(self, text: str) -> None:
        """An explanation of the line above."""
        self.console.print(
            Padding(f"[italic bright_black]╰ {escape(text)}[/]", (0, 2, 0, 11), expand=False), highlight=False
        )

    @property
    def held(self) -> bool:
        """Whether each step of each scene held."""
        return all(not outcome.failure for outcome in self.outcomes)


class Scene(AbstractContextManager["Scene"]):
    """One scene: conversations and what they showed."""

    def __init__(self, stage: Stage, outcome: Outcome) -> None:
        self.stage, self.outcome = stage, outcome

    def shows(self, what: str, *, holds: bool = True) -> None:
        """Something has been seen to be true; DidNotHold when it has not."""
        if not holds:
            raise DidNotHold(what)
        self.outcome.shown.append(what)
        self.stage.console.print(Text.assemble("  ", ("✓ ", "bold green"), (what, "green")))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        for wire in self.outcome.wires:
            wire.close()
        if isinstance(error, DidNotHold | OSError):
            self.outcome.failure = str(error) or type(error).__name__
            self.stage.console.print(
                Text.assemble("  ", ("✗ this did not hold: ", "bold red"), (self.outcome.failure, "red"))
            )
            return True
        return False


class Talk:
    """One connection of a scene: what the client says and the server answers is shown as it happens."""

    def __init__(self, scene: Scene, wire: Wire, *, client: str = "C:", server: str = "S:") -> None:
        self._stage = scene.stage
        self._wire = wire
        self._client, self._server = client, server
        self._hushed = False
        scene.outcome.wires.append(wire)

    @contextmanager
    def hushed(self, what: str) -> Iterator[None]:
        """Say and hear something that was seen before: one line in brackets stands for it."""
        self._stage.line("", f"({what})", "bright_black")
        self._hushed = True
        yield
        self._hushed = False

    def _line(self, who: str, text: str, style: str) -> None:
        if not self._hushed:
            self._stage.line(who, text, style)

    def tls(self, note: str = "") -> None:
        """Start TLS, with the certificate checked."""
        agreed = self._wire.start_tls()
        self._line("TLS:", f"handshake, {agreed}, certificate verified", "magenta")
        if note:
            self._stage.note(note)

    def say(self, text: str, *, shown: str | None = None, note: str = "") -> None:
        """Send lines; `shown` replaces a secret on the screen."""
        self._wire.send(text.replace("\n", "\r\n").encode() + b"\r\n")
        for line in (text if shown is None else shown).split("\n"):
            self._line(self._client, line, "cyan")
        if note:
            self._stage.note(note)

    def hear(self, expected: str, *, show: str = ".", note: str = "", last: str | None = None) -> list[str]:
        """Read to the line that matches `last` (default: the first line); it must match `expected`, anywhere in the lines.

        Lines that `show` does not find are counted, not shown. Returns all lines.
        """
        lines = [self._next()]
        while last is not None and not re.match(last, lines[-1]):
            lines.append(self._next())
        hidden = 0
        for line in lines:
            if re.search(show, line):
                self._line(self._server, line, "green")
            else:
                hidden += 1
        if hidden:
            self._line("", f"({hidden} more line{'s' if hidden > 1 else ''})", "bright_black")
        if note:
            self._stage.note(note)
        if not any(re.search(expected, line) for line in lines):
            raise DidNotHold(f"expected an answer like {expected!r}, but the server said {' / '.join(lines)!r}")
        return lines

    def reply(self, code: str, *, show: str = ".", note: str = "") -> list[str]:
        """An SMTP reply of one or more lines, with this code."""
        return self.hear(rf"^{code} ", show=show, note=note, last=r"\d{3} ")

    def completes(self, tag: str, *, status: str = "OK", show: str = ".", note: str = "") -> list[str]:
        """IMAP: everything up to the tagged response."""
        return self.hear(rf"^{tag} {status}", show=show, note=note, last=rf"{tag} ")

    def _next(self) -> str:
        try:
            return self._wire.line()
        except TimeoutError:
            raise DidNotHold("the server did not answer in time") from None
        except ConnectionError:
            raise DidNotHold("the server closed the connection") from None
