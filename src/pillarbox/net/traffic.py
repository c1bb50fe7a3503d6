"""Traffic: what has passed through one listener since the start, counted where it happens by plain additions."""

from collections import Counter


class Traffic:
    """Of one listener. `connections` that were admitted, of which `open` still are; those that were `refused`, and those
    that `made_room` for others; `received` and `sent` octets of the protocol, without TLS; `commands` by their names."""

    __slots__ = ("commands", "connections", "made_room", "open", "received", "refused", "sent")

    def __init__(self) -> None:
        self.connections = self.open = self.refused = self.made_room = 0
        self.received = self.sent = 0
        self.commands: Counter[str] = Counter()
