"""What the package does not contain: ways to run a stranger's octets as code. And what its bill of materials does."""

import ast
import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from tools.make_sbom import bill

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "pillarbox").rglob("*.py"))
FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill", "subprocess", "pty", "code", "codeop", "xml", "ctypes"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_OS = {
    "system",
    "popen",
    "execv",
    "execve",
    "execvp",
    "execvpe",
    "execl",
    "execlp",
    "spawnv",
    "spawnl",
    "fork",
}


def breaches(tree: ast.AST) -> list[str]:
    """Each forbidden thing in one module, with its line."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found += [f"{node.lineno}: {n.name}" for n in names if n.name.partition(".")[0] in FORBIDDEN_MODULES]
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in FORBIDDEN_MODULES:
                found.append(f"{node.lineno}: {module}")
            case ast.ImportFrom(module="os", names=names):
                found += [f"{node.lineno}: os.{n.name}" for n in names if n.name in FORBIDDEN_OS]
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                found.append(f"{node.lineno}: {name}()")
            case ast.Attribute(value=ast.Name(id="os"), attr=name) if name in FORBIDDEN_OS:
                found.append(f"{node.lineno}: os.{name}")
            case ast.keyword(arg="shell"):
                found.append(f"{node.lineno}: shell=")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_nothing_runs_octets_as_code(path: Path) -> None:
    assert breaches(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    ["eval(x)", "import pickle", "from subprocess import run", "os.system(x)", "f(shell=True)", "from os import popen"],
)
def test_the_walk_sees_it(source: str) -> None:
    assert breaches(ast.parse(source))


LOCK = (ROOT / "requirements.txt").read_text(encoding="utf-8")


def test_the_bill_of_materials_has_every_dependency_with_hashes() -> None:
    found = bill(LOCK)["components"]
    assert all(c["hashes"] for c in found)
    assert sum(len(c["hashes"]) for c in found) == LOCK.count("--hash=sha256:")
    assert len({c["bom-ref"] for c in found}) == len(found) == len(re.findall(r"(?m)^[A-Za-z0-9].*==", LOCK))


def test_the_lock_has_all_that_the_package_needs() -> None:
    """Also what its dependencies need, and in the versions that are installed where the tests run."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = {c["name"]: c["version"] for c in bill(LOCK)["components"]}
    waiting, seen = [name_of(need) for need in project["dependencies"]], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        assert name in locked, f"make lock: {name} is missing"
        try:
            needs = requires(name) or []
        except PackageNotFoundError:
            continue  # of another platform
        waiting += [name_of(need) for need in needs if ";" not in need]
    assert {"apsw", "argon2-cffi-bindings", "cryptography", "dnspython"} <= seen


def name_of(requirement: str) -> str:
    """The normalised name of a requirement."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()
