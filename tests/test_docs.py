"""Documentation that is generated is up to date."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_protocols_are_what_the_registries_say() -> None:
    spec = importlib.util.spec_from_file_location("make_protocols", ROOT / "tools" / "make_protocols.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    written = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    assert written == tool.document(), "run: python tools/make_protocols.py"
