"""Documentation that is generated is up to date."""

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def _tool(name: str) -> Any:
    """A script of tools/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    sys.modules[name] = tool  # dataclasses look their module up
    spec.loader.exec_module(tool)
    return tool


def test_protocols_are_what_the_registries_say() -> None:
    tool = _tool("make_protocols")
    written = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    assert written == tool.document(), "run: python tools/make_protocols.py"


def test_limits_are_those_of_the_code_and_each_is_tested() -> None:
    tool = _tool("make_limits")
    written = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    assert written == tool.document(written), "run: python tools/make_limits.py"
    for test in {limit.test for limit in tool.LIMITS}:
        assert (ROOT / "tests" / test).is_file(), test


def test_every_promise_names_a_test_that_exists() -> None:
    written = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[a-z0-9_/]+\.py)`", written))
    assert named
    assert not [name for name in named if not (ROOT / name).is_file()]
