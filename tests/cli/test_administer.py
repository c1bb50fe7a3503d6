"""Administrative commands, typed by a person, carried out by a running server or on the store itself."""

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pillarbox.access.policy import Budget, Policy
from pillarbox.access.throttle import Throttle
from pillarbox.cli.app import app
from pillarbox.cli.problem import Problem
from pillarbox.sasl.api import ScramKeys
from pillarbox.sasl.secret import Secret
from pillarbox.server.administration import Administration, Refusal
from pillarbox.server.control import NAME, ControlServer
from pillarbox.store.api import Delivery, PasswordHashes
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.embedded.place import Place
from pillarbox.store.memory import MemoryStore


def quick(password: Secret) -> PasswordHashes:
    return PasswordHashes(f"hash of {password.reveal()}", ScramKeys(b"salt", 4096, b"stored", b"server"))


class Server:
    """A running server as far as commands see it: the control socket, on a store in memory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = MemoryStore()
        self.loop = asyncio.new_event_loop()
        self.throttle = Throttle(Policy(block=Budget(2, 600)))
        administration = Administration(self.store, hashing=quick, throttle=self.throttle)
        self._control = ControlServer(directory / NAME, administration.perform, refusal=Refusal)
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.run(self._control.start())

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def stop(self) -> None:
        self.run(self._control.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.stop()


class Shell:
    def __init__(self, data: Path) -> None:
        self._data = data

    def __call__(self, line: str, *, stdin: str = "") -> Result:
        return CliRunner().invoke(app, [*line.split(), "--data", str(self._data)], input=stdin)

    def fine(self, line: str, *, stdin: str = "") -> str:
        result = self(line, stdin=stdin)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout

    def problem(self, line: str, *, stdin: str = "") -> Problem:
        result = self(line, stdin=stdin)
        assert isinstance(result.exception, Problem), (result.output, result.exception)
        return result.exception


@pytest.fixture
def shell(server: Server) -> Shell:
    shell = Shell(server.directory)
    shell.fine("domain add example.test")
    shell.fine("account add anna@example.test --password-stdin", stdin="correct horse\n")
    return shell


def test_accounts(shell: Shell) -> None:
    assert shell.fine("account list") == "anna@example.test\tactive\t0\t0 B\tnone\n"
    said = shell.fine("account add bob@example.test --quota 500 --password-stdin", stdin="battery staple\n")
    assert "bob@example.test can send and fetch mail now" in said
    assert "500.0 MB" in shell.fine("account list")
    shell.fine("account passwd bob@example.test --password-stdin", stdin="something else\n")
    assert "account enable bob@example.test" in shell.fine("account disable bob@example.test")
    assert "bob@example.test\tdisabled" in shell.fine("account list")
    shell.fine("account enable bob@example.test")
    assert shell("account remove bob@example.test", stdin="n\n").exit_code == 1
    assert "bob" in shell.fine("account list")
    shell.fine("account remove bob@example.test", stdin="y\n")
    shell.fine("account remove anna@example.test --yes")
    assert shell.fine("account list") == ""


def test_domains_and_aliases(shell: Shell) -> None:
    shell.fine("alias add office@example.test anna@example.test x@elsewhere.test")
    shell.fine("alias add @example.test anna@example.test")
    assert shell.fine("alias list") == (
        "@example.test\tanna@example.test\noffice@example.test\tanna@example.test, x@elsewhere.test\n"
    )
    assert shell.fine("domain list") == "example.test\t1\t2\n"
    shell.fine("alias remove @example.test")
    shell.fine("alias remove office@example.test")
    shell.fine("account remove anna@example.test --yes")
    shell.fine("domain remove example.test")
    assert shell.fine("domain list") == ""


def test_the_queue(shell: Shell, server: Server) -> None:
    from pillarbox.store.api import Relay

    assert shell.fine("queue list") == ""
    spool = server.store.spool()
    spool.write(b"Subject: x\r\n\r\n")
    relay = Relay("Q1", "anna@example.test", [("x@elsewhere.test", {})])
    server.run(server.store.accept(spool, [], relay))
    row = shell.fine("queue list").rstrip("\n").split("\t")
    assert (row[0], row[2:7]) == ("Q1", ["14 B", "anna@example.test", "x@elsewhere.test", "due now", "0"])
    shell.fine("queue hold Q1")
    assert "\theld\t" in shell.fine("queue list")
    shell.fine("queue release Q1")
    assert shell.fine("queue retry --all") == "1 recipient will be tried now.\n"
    assert shell.fine("queue retry Q1") == "1 recipient will be tried now.\n"
    assert shell.problem("queue retry").status == 2
    shell.fine("queue delete Q1")
    assert shell.problem("queue delete Q1").status == 1


@pytest.mark.parametrize(
    ("line", "stdin", "status", "what"),
    [
        ("account add anna@example.test --password-stdin", "correct horse\n", 1, "already"),
        ("account add bob@example.test --password-stdin", "short\n", 2, "too short"),
        ("account add bob@example.test --password-stdin", "", 2, "too short"),
        ("account add bob@example.test --password-stdin", "bell\x07 in a bottle\n", 2, "control character"),
        ("account add bob@example.test", "", 2, "no terminal"),
        ("account add bob@other.test --password-stdin", "correct horse\n", 1, "not a domain"),
        ("account remove who@example.test --yes", "", 1, "no account"),
        ("domain add example.test", "", 1, "already"),
        ("alias remove office@example.test", "", 1, "no alias"),
    ],
)
def test_refusals(shell: Shell, line: str, stdin: str, status: int, what: str) -> None:
    problem = shell.problem(line, stdin=stdin)
    assert (problem.status, what in problem.what) == (status, True), problem.what


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    problem = Shell(tmp_path / "nowhere").problem("account list")
    assert problem.status == 2
    assert "no directory" in problem.what
    assert "Start the server first" in problem.next_step


def test_which_server_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pillarbox.cli.place.DEFAULT_CONFIGS", (Path("pillarbox.toml"),))
    result = CliRunner().invoke(app, ["account", "list"])
    assert isinstance(result.exception, Problem)
    assert "--config FILE" in result.exception.next_step


def test_passwords_are_asked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    from pillarbox.cli import password

    answers = iter(["correct horse", "correct horse", "correct horse", "wrong horse"])
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert password.ask("a@example.test", from_stdin=False) == Secret("correct horse")
    with pytest.raises(Problem, match="differ"):
        password.ask("a@example.test", from_stdin=False)


def test_a_stranger_is_not_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr("pillarbox.server.control.call", refuse)
    assert "sudo" in Shell(tmp_path).problem("account list").next_step


def test_without_a_server_the_store_is_opened(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.fine("domain add example.test")
    shell.fine("account add anna@example.test --password-stdin", stdin="correct horse\n")
    assert shell.fine("account list") == "anna@example.test\tactive\t0\t0 B\tnone\n"
    assert shell.problem("account remove bob@example.test --yes").status == 1
    (tmp_path / "pillarbox.toml").write_text(f'data = "{tmp_path}"\n')
    result = CliRunner().invoke(app, ["account", "list", "--config", str(tmp_path / "pillarbox.toml")])
    assert result.stdout.startswith("anna@example.test")


def test_a_store_in_use_is_not_touched(tmp_path: Path) -> None:
    place = Place.take(tmp_path)
    problem = Shell(tmp_path).problem("account list")
    place.release()
    assert problem.status == 3
    assert "in use" in problem.what


def test_a_configuration_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "pillarbox.toml"
    file.write_text('host_nam = "x"\n')
    result = CliRunner().invoke(app, ["config", "check", str(file)])
    assert isinstance(result.exception, Problem)
    assert result.exception.status == 2
    assert "host_name" in result.exception.next_step


async def _deliver(directory: Path) -> None:
    store = await EmbeddedStore.open(directory)
    account = await store.directory.account("anna@example.test")
    assert account is not None
    spool = store.spool()
    spool.write(b"Subject: one\r\n\r\n" + b"text\r\n" * 100)
    await store.accept(spool, [Delivery(account.id)])
    await store.close()


def test_fsck_finds_damage(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.fine("domain add example.test")
    shell.fine("account add anna@example.test --password-stdin", stdin="correct horse\n")
    asyncio.run(_deliver(tmp_path))
    assert shell.fine("fsck") == "The store is sound.\n"
    [segment] = [f for f in (tmp_path / "segments").iterdir() if f.stat().st_size > 600]
    octets = bytearray(segment.read_bytes())
    octets[octets.index(b"text") + 1] ^= 1
    segment.write_bytes(octets)
    result = shell("fsck --repair")
    assert result.exit_code == 1
    assert "anna@example.test's message 1 in INBOX" in result.stdout
    assert "1 of them" in result.stdout


def test_fsck_of_a_store_without_files(shell: Shell) -> None:
    assert "not on a disk" in shell.problem("fsck").what


def test_who_guesses_and_who_is_forgiven(shell: Shell, server: Server) -> None:
    assert shell.fine("access list") == ""
    for _ in range(2):
        server.throttle.failed("203.0.113.7", "anna@example.test", time.monotonic())
    assert shell.fine("access list").splitlines() == [
        "203.0.113.0/24\tany account\t2\trefused for 10 min",
        "anywhere\tanna@example.test\t2\tanswered late",
        "203.0.113.0/24\tanna@example.test\t2\tanswered late",
    ]
    assert shell.fine("access unban 203.0.113.7") == "203.0.113.7 is forgiven.\n"
    assert server.throttle.wait("203.0.113.7", "anna@example.test", time.monotonic()) == 0
    assert shell.fine("access unban anna@example.test") == "anna@example.test is forgiven.\n"
    assert shell.fine("access list") == ""
    assert "nothing to forgive" in shell.fine("access unban --all")
    assert shell.problem("access unban").what == "Forgive whom?"
    assert "Not an address" in shell.problem("access unban nonsense").what


def test_without_a_server_nobody_is_counted(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.fine("domain add example.test")
    assert "No server is running" in shell.problem("access list").what
    assert "No server is running" in shell.problem("access unban --all").what
