"""The labelled points: each place in the store's code that makes something durable, takes it away, or gives it its name.

A label is `module.function:call`, read from the source (`in_source`) and, while the server runs, from the stack
(`of_caller`). So no label can be forgotten: one that nobody knows fails `test_points`, and one that never happens fails
the test that is to kill there.
"""

import ast
import sys
from pathlib import Path

STORE = Path(__file__).parents[2] / "src/pillarbox/store/embedded"

CALLS = frozenset(
    {
        "pwrite",
        "pwritev",
        "fdatasync",
        "fsync",
        "unlink",
        "truncate",
        "ftruncate",
        "rename",
        "link",
        "rmtree",
        "copyfile",
    }
)
STATEMENTS = frozenset({"BEGIN", "COMMIT", "ROLLBACK", "VACUUM"})
_TOOLS = {"sync_folder": "fsync", "sync_to_root": "fsync", "write_all": "pwritev", "_link": "link"}
"""Functions of the store that count as the call that they make."""

IN_LIFE = (
    "segments.create:pwrite",
    "segments.create:fsync",
    "segments.write:pwritev",
    "segments.write:fdatasync",
    "segments.write_alone:pwritev",
    "segments.write_alone:fdatasync",
    "batch.commit:BEGIN",
    "batch.commit:COMMIT",
    "compaction._compact:unlink",
)
"""Where the server is killed under load."""

AT_START = ("place.take:fsync", "store._look_at_leftovers:unlink")
"""Where it is killed while it starts."""

GIVING_UP = (
    "segments.create:unlink",
    "segments.take_back:unlink",
    "segments.take_back:truncate",
    "segments.write_alone:unlink",
    "batch.commit:ROLLBACK",
)
"""Where it is killed after something failed: the disk is full."""

BACKING_UP = (
    "backup._copy_index:VACUUM",
    "backup._segment:link",
    "backup._copy:fsync",
    "backup.make:fsync",
    "manifest.write:fsync",
    "backup.back_up:rename",
    "backup.back_up:fsync",
    "backup.back_up:rmtree",
)
"""Where a backup is killed."""

RESTORING = ("snapshot._bring:fsync", "snapshot.restore:fsync", "snapshot.restore:rename")
"""Where the restoring of a whole server is killed."""

PLACING = (
    "placements._write:unlink",
    "placements._copy:BEGIN",
    "placements._copy:COMMIT",
    "placements._write:fsync",
    "placements._write:rename",
)
"""Where it is killed while it copies the index aside."""

ELSEWHERE = {
    "mail.rename": "a mailbox gets another name: no file does",
    "place.take": "the lock file's text is for people; its folder is AT_START",
    "incoming.abandon": "tests/store/embedded/test_garbage.py: an octet that nobody refers to is swept",
    "snapshot.opened": "a scratch folder",
    "snapshot._lay_out": "a scratch folder",
    "snapshot._make_folder": "tests/backup/test_backup.py",
    "snapshot.restore:rmtree": "tests/backup/test_backup.py: something failed",
    "placements.lay": "tests/store/embedded/test_placements.py: fills a scratch folder",
    "rebuild": "tests/store/embedded/test_rebuild.py",
    "salvage": "tests/store/embedded/test_rebuild.py: copies into a scratch folder",
    "schema._keep": "tests/store/embedded/test_versions.py",
    "text_index": "tests/store/embedded/test_text_index.py: it can always be made anew",
}
"""Modules and functions off the commit path, and where they are tested."""


def in_source() -> set[str]:
    """The labels of the whole store, by its source."""
    found: set[str] = set()
    for path in STORE.glob("*.py"):
        for outer in ast.walk(ast.parse(path.read_text())):
            bodies = outer.body if isinstance(outer, ast.Module | ast.ClassDef) else []
            for function in bodies:
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and function.name not in _TOOLS:
                    found.update(f"{path.stem}.{function.name}:{call}" for call in _calls(function))
    return found


def _calls(function: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in _TOOLS:
                found.add(_TOOLS[name])
            case ast.Call(func=ast.Attribute(attr="execute"), args=[ast.Constant(value=str(sql)), *_]):
                found.update({sql.split(None, 1)[0]} & STATEMENTS)
            case ast.Attribute(attr=name) if name in CALLS:
                found.add(name)
    return found


def of_caller(call: str) -> str:
    """The label of a call that is being made: the innermost function of the store on the stack says which."""
    frame = sys._getframe(1)
    while frame is not None:  # type: ignore[redundant-expr]
        module = frame.f_globals.get("__name__", "")
        if module.startswith("pillarbox.store.embedded."):
            name = frame.f_code.co_qualname.split(".<locals>")[0].rpartition(".")[2]
            if name not in _TOOLS:
                return f"{module.rpartition('.')[2]}.{name}:{call}"
        frame = frame.f_back  # type: ignore[assignment]
    return f"?:{call}"
