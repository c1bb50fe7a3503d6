"""What the embedded home's own tests share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.store.conftest import HASHES

from pillarbox.store.embedded import EmbeddedStore


class Observed(list[tuple[str, dict[str, object]]]):
    """Collects what a store tells its observer."""

    def __call__(self, event: str, **facts: object) -> None:
        self.append((event, facts))


@pytest.fixture
def observed() -> Observed:
    return Observed()


@pytest.fixture
async def store(tmp_path: Path, observed: Observed) -> AsyncIterator[EmbeddedStore]:
    """An embedded store with alice@example.test."""
    home = await EmbeddedStore.open(tmp_path / "store", observer=observed)
    await home.directory.add_domain("example.test")
    await home.directory.add_account("alice@example.test", HASHES)
    yield home
    await home.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data directory of `store`."""
    return tmp_path / "store"


@pytest.fixture
async def alice(store: EmbeddedStore) -> int:
    account = await store.directory.account("alice@example.test")
    assert account is not None
    return account.id
