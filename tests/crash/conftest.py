"""What is compared outside of test modules says what differs."""

import pytest

pytest.register_assert_rewrite("tests.crash.people", "tests.crash.town")
