"""The last page of the tour: what someone on the way would have seen of each conversation."""

from base64 import b64encode

from rich import box
from rich.table import Table
from rich.text import Text

from pillarbox.cli.tour.stage import Outcome, Stage
from pillarbox.cli.tour.wire import NAME
from pillarbox.cli.tour.world import PASSWORD

SECRETS = {
    "the password": (PASSWORD.encode(), *(b64encode(b"\0" * n + PASSWORD.encode())[4:-4] for n in range(3))),
    "a message": (b"Shall we say noon?", b"Noon is fine.", b"They are in the post."),
}
"""What must not be found on the wire, in any form it was said in."""


def _leaks(outcome: Outcome) -> list[str]:
    seen = b"".join(bytes(wire.seen) for wire in outcome.wires)
    return [what for what, forms in SECRETS.items() if any(form in seen for form in forms)]


def summary(stage: Stage) -> None:
    """One row a port: what an eavesdropper recorded and could read; and whether the scene held."""
    stage.console.print()
    stage.console.rule("[bold]What an eavesdropper saw[/]", align="left", style="blue")
    stage.prose(
        "Every octet that went over the wire was recorded on the way. With TLS from the first octet there is only the\n"
        f"name that the client asked for ([cyan]{NAME}[/]) and noise; with STARTTLS also the few lines before it."
    )
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=True, expand=False)
    table.add_column("port", justify="right")
    table.add_column("octets", justify="right")
    table.add_column("readable lines", ratio=1)
    table.add_column("secrets found")
    table.add_column("scene")
    for outcome in stage.outcomes:
        leaks = _leaks(outcome)
        if leaks:
            outcome.failure = outcome.failure or f"an eavesdropper could read {' and '.join(leaks)}"
        lines = [line for wire in outcome.wires for line in wire.readable()]
        readable = f"{len(lines)} lines, up to: {lines[-1]}" if lines else "none"
        table.add_row(
            str(outcome.port),
            f"{sum(len(wire.seen) for wire in outcome.wires):,}",
            Text(readable, "yellow" if lines else "green"),
            Text(", ".join(leaks) or "none", "bold red" if leaks else "green"),
            Text("✗ failed", "bold red") if outcome.failure else Text("✓ held", "bold green"),
        )
    stage.console.print(table)
