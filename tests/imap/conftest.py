"""Fixtures of the IMAP tests."""

import pytest
from tests.imap.client import Server


@pytest.fixture
async def server() -> Server:
    """A store in memory with one account, alice@example.org."""
    return await Server.start()
