"""`pillarbox backup`, `backup verify` and `restore`, typed by a person."""

import asyncio
from pathlib import Path

import pytest
from tests.store.conftest import HASHES, message
from typer.testing import CliRunner, Result

from pillarbox.cli.app import app
from pillarbox.cli.problem import Problem
from pillarbox.store.api import Delivery
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.spool import Spool


def typed(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data directory of a server that does not run, with a message in it."""

    async def fill() -> None:
        store = await EmbeddedStore.open(tmp_path / "data")
        await store.directory.add_domain("example.test")
        account = await store.directory.add_account("anna@example.test", HASHES)
        await store.accept(Spool.of(message(1)), [Delivery(account.id)])
        await store.close()

    asyncio.run(fill())
    return tmp_path / "data"


def test_there_and_back(data: Path, tmp_path: Path) -> None:
    made = typed("backup", tmp_path / "b", "--data", data)
    assert made.exit_code == 0, made.output
    assert "1 accounts, 1 messages" in made.stdout
    assert typed("backup", "--keep", "1", tmp_path / "b", "--data", data).exit_code == 0
    good = typed("backup", "verify", tmp_path / "b")
    assert good.exit_code == 0, good.output
    assert "is good: 1 accounts, 1 messages" in good.stdout
    restored = typed("restore", tmp_path / "b", "--data", tmp_path / "new")
    assert restored.exit_code == 0, restored.output
    assert typed("fsck", "--data", tmp_path / "new").exit_code == 0
    assert typed("account", "list", "--data", tmp_path / "new").stdout.startswith("anna@example.test\tactive\t1\t")


def test_the_configuration_and_what_it_names_come_along(data: Path, tmp_path: Path) -> None:
    config, secret = tmp_path / "pillarbox.toml", tmp_path / "secret"
    secret.write_text("hush\n")
    config.write_text(
        f'data = "{data}"\n[relay.smarthost]\nhost = "out.example.test"\nusername = "u"\npassword_file = "{secret}"\n'
    )
    assert typed("backup", tmp_path / "b", "--config", config).exit_code == 0
    restored = typed("restore", tmp_path / "b", "--data", tmp_path / "new")
    assert "restored-config" in restored.stdout
    kept = tmp_path / "new" / "restored-config"
    assert (kept / "pillarbox.toml").read_text() == config.read_text()
    assert (kept / "smarthost-0.password").read_text() == "hush\n"


def test_damage_is_said_and_gives_status_1(data: Path, tmp_path: Path) -> None:
    typed("backup", tmp_path / "b", "--data", data)
    (segment,) = (tmp_path / "b").glob("*/data/segments/*")
    octets = bytearray(segment.read_bytes())
    octets[-20:] = bytes(20)
    segment.write_bytes(octets)
    bad = typed("backup", "verify", tmp_path / "b")
    assert bad.exit_code == 1
    assert "is damaged" in bad.stdout
    assert typed("restore", tmp_path / "b", "--data", tmp_path / "new").exit_code == 1


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("backup", "{data}/b", "--data", "{data}"), "lost with it"),
        (("backup", "verify", "{data}"), "holds no backup"),
        (("restore", "{data}", "--data", "{data}/new"), "holds no backup"),
    ],
)
def test_what_cannot_be_done_is_explained(data: Path, words: tuple[str, ...], what: str) -> None:
    done = typed(*(word.format(data=data) for word in words))
    assert isinstance(done.exception, Problem)
    assert what in done.exception.what


def test_one_account(data: Path, tmp_path: Path) -> None:
    typed("backup", tmp_path / "b", "--data", data)
    typed("account", "remove", "anna@example.test", "--yes", "--data", data)
    done = typed("restore", tmp_path / "b", "--account", "anna@example.test", "--data", data)
    assert done.exit_code == 0, done.output
    assert done.stdout == "anna@example.test: 1 messages restored, 0 were there already.\n"
    assert isinstance(typed("restore", tmp_path / "b", "--mailbox", "X", "--data", data).exception, Problem)
