"""Refusal: an administrator's verb that was not carried out."""


class Refusal(Exception):
    """`text` says what is wrong, `advice` what to do; `later`: trying again may help."""

    def __init__(self, text: str, advice: str = "", *, later: bool = False) -> None:
        super().__init__(text)
        self.text, self.advice, self.later = text, advice, later
