"""Rows with an index on both sides: what searches are to find, and who gets such a server."""

import asyncio
from pathlib import Path

import pytest
from bench.stack import Stack
from bench.workload import Meter, Workload, quiet
from bench.workloads import indexed
from bench.workloads.indexed import holding

from bench import __main__ as program

PLAIN = b"Subject: Garden party\r\n\r\nRoses\r\n"
ATTACHED = (
    b"Subject: x\r\n\r\n--b\r\n\r\nsome text\r\n--b\r\nContent-Type: application/pdf\r\n\r\nroses, gardens\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("BODY roses", {1}),
        ("BODY ose", {1}),
        ("BODY garden", set()),
        ("TEXT garden", {1}),
        ("TEXT some", {2}),
        ("BODY tulip", set()),
    ],
)
def test_what_a_search_is_to_find(query: str, numbers: set[int]) -> None:
    assert holding(query, [PLAIN, ATTACHED]) == numbers


class Idle(Stack):
    """A server that does nothing."""

    name = "idle"

    def __init__(self, directory: Path, *, indexed: bool = False) -> None:
        self.directory = directory
        self.indexed = indexed
        self.running = False

    def fresh(self, directory: Path, accounts: int, *, indexed: bool) -> "Idle":
        return Idle(directory, indexed=indexed)

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False

    def cpu(self) -> float:
        return 0.0

    def index_octets(self) -> int:
        return 0


@pytest.mark.parametrize("with_index", [False, True])
def test_a_row_gets_the_server_that_it_asks_for(with_index: bool, tmp_path: Path) -> None:
    seen: list[Idle] = []

    async def look(stack: Stack, _: Meter) -> None:
        assert isinstance(stack, Idle)
        assert stack.running
        seen.append(stack)

    row = Workload("look", "look", "look", look, 0, accounts=1, indexed=with_index)
    with asyncio.Runner() as runner:
        program._run(runner, row, Idle(tmp_path), tmp_path)
    assert [each.indexed for each in seen] == [with_index]
    assert not seen[0].running


async def test_a_pause_of_the_index_is_not_its_end(tmp_path: Path) -> None:
    class Resting(Idle):
        left = 2

        def behind(self) -> int:
            self.left -= 1
            return self.left

    server = Resting(tmp_path)
    await quiet(server)
    assert server.left == 0


async def test_a_server_that_has_no_index_fails_the_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Session:
        @staticmethod
        async def login(*_: object) -> "Session":
            return Session()

        async def logout(self) -> None:
            pass

    async def nothing(*_: object) -> None:
        pass

    monkeypatch.setattr(indexed, "Imap", Session)
    monkeypatch.setattr(indexed, "append_all", nothing)
    monkeypatch.setattr(indexed, "quiet", nothing)
    with pytest.raises(RuntimeError, match="idle has no index"):
        await indexed._fill(Idle(tmp_path))
