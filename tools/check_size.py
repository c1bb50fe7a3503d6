"""Size limits of the house: a file has at most 400 lines, a function at most 60."""

import ast
import sys
from pathlib import Path

FILE_LINES = 400
FUNCTION_LINES = 60


def problems(path: Path) -> list[str]:
    """Each breach in one file, as a line for people."""
    text = path.read_text(encoding="utf-8")
    found = []
    lines = text.count("\n")
    if lines > FILE_LINES:
        found.append(f"{path}: {lines} lines, more than {FILE_LINES}: where is the seam?")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(f"{path}:{node.lineno}: {node.name} has {length} lines, more than {FUNCTION_LINES}")
    return found


def main() -> int:
    """Check every source and test file; exit status 1 on any breach."""
    found = [
        p for root in ("src", "tests", "tools", "bench") for f in sorted(Path(root).rglob("*.py")) for p in problems(f)
    ]
    print("\n".join(found) or "sizes: fine")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
