"""What is compared outside of test modules says what differs; what dying servers left behind is swept up here."""

import gc
import warnings
from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.crash.people", "tests.crash.town", "tests.crash.outage", "tests.crash.judge")


@pytest.fixture(autouse=True)
def _sweep() -> Iterator[None]:
    """imaplib and poplib leave their sockets to the collector when a greeting is cut: not to be found in another's test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
