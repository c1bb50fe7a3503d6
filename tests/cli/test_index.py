"""`pillarbox index`: on a running server and on the store itself."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.store.conftest import HASHES
from typer.testing import CliRunner, Result

from pillarbox.cli.app import app
from pillarbox.cli.problem import Problem
from pillarbox.server.administration import Administration, Refusal
from pillarbox.server.control import NAME, ControlServer
from pillarbox.store.api import NewMessage
from pillarbox.store.embedded import EmbeddedStore, indexer
from pillarbox.store.spool import Spool

T = TypeVar("T")
ADDRESSES = ("anna@example.test", "bob@example.test")


def run(data: Path, line: str) -> Result:
    return CliRunner().invoke(app, [*line.split(), "--data", str(data)])


async def fill(store: EmbeddedStore, count: int) -> None:
    await store.directory.add_domain("example.test")
    for address in ADDRESSES:
        account = (await store.directory.add_account(address, HASHES)).id
        messages = [NewMessage(Spool.of(b"Subject: %d\r\n\r\nelephants\r\n" % n)) for n in range(count)]
        await store.mail.append(account, "INBOX", messages)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with two accounts of 120 messages; nothing is indexed by itself."""
    monkeypatch.setattr(indexer, "_TICK", 3600)

    async def make() -> None:
        store = await EmbeddedStore.open(tmp_path)
        await fill(store, 120)
        await store.close()

    asyncio.run(make())
    return tmp_path


class Server:
    """A running server as far as commands see it."""

    def __init__(self, directory: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.store = self.run(EmbeddedStore.open(directory))
        self.administration = Administration(self.store)
        self._control = ControlServer(directory / NAME, self.administration.perform, refusal=Refusal)
        self.run(self._control.start())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def stop(self) -> None:
        self.run(self._control.stop())
        self.run(self.store.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def server(data: Path) -> Iterator[Server]:
    server = Server(data)
    yield server
    server.stop()


def rows(result: Result) -> dict[str, list[str]]:
    assert result.exit_code == 0, (result.output, result.exception)
    return {line.split("\t")[0]: line.split("\t")[1:] for line in result.stdout.splitlines()}


def test_on_the_store_itself(data: Path) -> None:
    before = rows(run(data, "index status"))
    assert before["anna@example.test"] == ["120", "0", "120", "0", ""]
    assert before["all"][:4] == ["240", "0", "240", "0"]
    made = run(data, "index rebuild")
    assert made.stdout == "The index is complete.\n"
    assert made.stderr.splitlines()[-1] == "indexing: 240 of 240"
    after = rows(run(data, "index status"))
    assert after["all"][:4] == ["240", "240", "0", "0"]
    assert after["all"][4].endswith("B")
    assert run(data, "index rebuild anna@example.test").stderr.splitlines()[-1] == "indexing: 120 of 120"
    assert list(rows(run(data, "index status bob@example.test"))) == ["bob@example.test"]


def test_on_a_running_server(server: Server, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.run(server.store.indexer.catch_up())
    assert run(data, "index rebuild bob@example.test --no-wait").exit_code == 0
    found = rows(run(data, "index status"))
    assert found["anna@example.test"][:4] == ["120", "120", "0", "0"]
    assert found["bob@example.test"][:4] == ["120", "0", "120", "0"]
    monkeypatch.setattr(indexer, "_TICK", 0.01)
    server.run(server.store.indexer.catch_up())
    made = run(data, "index rebuild bob@example.test --no-wait")
    assert "index status" in made.stdout
    server.run(server.store.indexer.catch_up())
    assert rows(run(data, "index status"))["bob@example.test"][:4] == ["120", "120", "0", "0"]


def test_it_is_watched_until_it_is_done(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexer, "_TICK", 0.01)
    server = Server(data)
    try:
        made = run(data, "index rebuild")
        assert (made.exit_code, made.stdout) == (0, "The index is complete.\n")
        assert made.stderr.splitlines()[-1] == "indexing: 240 of 240"
    finally:
        server.stop()


@pytest.mark.parametrize("command", ["status", "rebuild"])
def test_an_unknown_account_is_refused(command: str, server: Server, data: Path) -> None:
    refused = run(data, f"index {command} carl@example.test")
    assert isinstance(refused.exception, Problem)
    assert "no account carl@example.test" in refused.exception.what


def test_fsck_of_a_running_server_says_how_far_it_is(
    server: Server, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []

    @contextmanager
    def bar(_what: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: told.append((done, total))

    monkeypatch.setattr("pillarbox.cli.progress.progress_bar", bar)
    monkeypatch.setattr("pillarbox.cli.fsck._LOOK", 0.001)
    administration = server.administration
    administration._checked = (1, 3)
    assert run(data, "fsck").stdout == "The store is sound.\n"
    assert told
    assert all(0 <= done <= total for done, total in told)
    assert administration._checked is None
