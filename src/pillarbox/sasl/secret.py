"""Secret: text that must never reach a log, a traceback or a transcript."""

import hmac


class Secret:
    """Wraps a password or token. Its repr and str are redacted; `reveal` is the only way to the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself: hand it only to what verifies it or sends it inside TLS."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        raise TypeError("a Secret is not hashable")

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not serialisable")
