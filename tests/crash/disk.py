"""A small disk of one's own, for tests that need a file system that is really full or read-only.

Root mounts a tmpfs. Anybody else runs the test again in a user and mount namespace, where he is root; that needs nothing
installed but unshare(1) (util-linux).
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_INSIDE = "PILLARBOX_TEST_NAMESPACE"
_NEEDED = (
    "This test mounts a small disk, which nothing here allows: run it as root, or where user namespaces are allowed "
    "(sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone), or in a container with the capability SYS_ADMIN."
)


@contextmanager
def mounted(mount: Path, megabytes: int) -> Iterator[None]:
    """A tmpfs of that size on the folder `mount`, which is made."""
    mount.mkdir()
    _command("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(mount))
    try:
        yield
    finally:
        _command("umount", str(mount))


def remount(mount: Path, mode: str) -> None:
    """Make it "ro" or "rw"."""
    _command("mount", "-o", f"remount,{mode}", str(mount))


def in_namespace(node: str, tmp_path: Path) -> bool:
    """Whether the test `node` was run elsewhere, because nothing can be mounted here; it fails here if it failed there."""
    probe = tmp_path / "probe"
    try:
        with mounted(probe, 1):
            return False
    except (OSError, subprocess.CalledProcessError):
        pass
    if _INSIDE in os.environ:
        pytest.fail(_NEEDED)
    again = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "",
        "--basetemp",
        str(tmp_path / "again"),
    ]
    try:
        ran = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", *again, node],
            cwd=Path(__file__).parents[2],
            env={**os.environ, _INSIDE: "1"},
            capture_output=True,
            text=True,
            timeout=100,
        )
    except FileNotFoundError:
        pytest.fail(f"{_NEEDED} (unshare is not installed: apt-get install util-linux)")
    said = ran.stdout + ran.stderr
    if ran.returncode != 0:
        pytest.fail(f"{_NEEDED if 'unshare' in ran.stderr and not ran.stdout else 'In a namespace:'}\n{said[-5000:]}")
    return True


def _command(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
