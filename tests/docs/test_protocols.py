"""Documentation that is generated is up to date."""

import dataclasses
import importlib.util
import pkgutil
import re
import sys
from pathlib import Path
from typing import Any

import pillarbox

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


def test_metrics_are_those_of_the_code() -> None:
    tool = _tool("make_metrics")
    written = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert written == tool.document(written), "run: python tools/make_metrics.py"


STRANGERS_FEED = ("access", "imap", "net.admission", "net.connections", "pop3", "smtp", "transfer")
"""Rooms whose limits strangers meet."""

NO_LIMITS = {
    "access.policy:Policy.first_delay",  # where the delays begin
    "access.policy:Policy.local_delay",
    "access.policy:Policy.rejected_for",
    "imap.policy:CommandLimits.command",  # there are two, and both are in the table
    "imap.policy:CommandLimits.literal",
    "imap.policy:Limits.still_here_seconds",
    "pop3.policy:Policy.piece",
}


def test_no_limit_is_left_out() -> None:
    listed, found = {limit.where for limit in _tool("make_limits").LIMITS}, set()
    for module in pkgutil.walk_packages(pillarbox.__path__, "pillarbox."):
        room = module.name.removeprefix("pillarbox.")
        if not room.startswith(STRANGERS_FEED) or not room.endswith(("policy", "admission", "connections")):
            continue
        for name, kind in vars(importlib.import_module(module.name)).items():
            if (
                name.endswith(("Policy", "Limits"))
                and dataclasses.is_dataclass(kind)
                and kind.__module__ == module.name
            ):
                numbers = [f.name for f in dataclasses.fields(kind) if f.type in (int, float, "int", "float")]
                found |= {f"{room}:{name}.{number}" for number in numbers}
    assert found
    assert found - listed == NO_LIMITS, "tools/make_limits.py"


def test_every_promise_names_a_test_that_exists() -> None:
    written = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[a-z0-9_/]+\.py)`", written))
    assert named
    assert not [name for name in named if not (ROOT / name).is_file()]
