"""Long commands give others their turn."""

from collections.abc import Generator
from types import coroutine


@coroutine
def give_way() -> Generator[None, None, None]:
    """Let everything else that is ready run once. A bare yield is what event loops take for that, so that no engine has to
    know which loop it runs on."""
    yield
