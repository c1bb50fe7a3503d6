"""The data directory and the file system below it, by made-up mounts."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.server.conftest import loopback_config

from pillarbox.server import storage_place
from pillarbox.server.assembly import Server, StartError
from pillarbox.server.storage_place import NETWORK, NETWORK_FUSE, file_system, network_file_system, objection

ROOT = "25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"


def mount(point: str, kind: str, *, tags: str = "shared:7 master:1") -> str:
    return f"99 25 0:45 / {point} rw,relatime {tags} - {kind} server:/export rw,vers=4.2"


@pytest.mark.parametrize(
    ("path", "mounts", "kind"),
    [
        ("/var/lib/pillarbox", [ROOT], "ext4"),
        ("/srv/mail", [ROOT, mount("/srv", "nfs4")], "nfs4"),
        ("/srv", [ROOT, mount("/srv", "nfs4")], "nfs4"),
        ("/srvx/mail", [ROOT, mount("/srv", "nfs4")], "ext4"),
        ("/srv/mail", [mount("/srv", "nfs4"), ROOT], "nfs4"),
        ("/srv/disk/mail", [ROOT, mount("/srv", "nfs"), mount("/srv/disk", "xfs")], "xfs"),
        ("/srv/mail", [ROOT, mount("/srv", "nfs"), mount("/srv", "xfs")], "xfs"),
        ("/srv/my mail/data", [ROOT, mount("/srv/my\\040mail", "cifs")], "cifs"),
        ("/srv/mail", [ROOT, mount("/srv", "nfs4", tags="")], "nfs4"),
        ("/srv/mail", [ROOT, "nonsense", "", "1 2 3 - nfs x y"], "ext4"),
        ("/srv/mail", [], ""),
    ],
)
def test_the_mount_that_counts(path: str, mounts: list[str], kind: str) -> None:
    assert file_system(path, mounts) == kind


def mounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *lines: str) -> None:
    file = tmp_path / "mountinfo"
    file.write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(storage_place, "MOUNTS", file)


@pytest.mark.parametrize("kind", [*sorted(NETWORK), *(f"fuse.{program}" for program in sorted(NETWORK_FUSE))])
def test_network_file_systems(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mounts(monkeypatch, tmp_path, ROOT, mount("/srv", kind))
    assert network_file_system(Path("/srv/mail/not/there/yet")) == kind
    assert f"({kind})" in objection(Path("/srv/mail"))


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuse.bindfs", "fuseblk", "virtiofs", "apfs"]
)
def test_local_ones(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mounts(monkeypatch, tmp_path, ROOT, mount("/srv", kind))
    assert objection(Path("/srv/mail")) == ""


def test_a_link_does_not_hide_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to(tmp_path / "far")
    mounts(monkeypatch, tmp_path, ROOT, mount(os.path.realpath(tmp_path / "far"), "nfs"))
    assert network_file_system(tmp_path / "near" / "data") == "nfs"


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(storage_place, "MOUNTS", tmp_path / "none")
    assert objection(tmp_path) == ""


async def test_the_server_does_not_start_there_unless_somebody_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mounts(monkeypatch, tmp_path, ROOT, mount(str(tmp_path), "nfs4"))
    config = loopback_config(tmp_path / "data")
    with pytest.raises(StartError, match=r"is on a network file system \(nfs4\), .* `network_storage_because`"):
        await Server(config).start()
    assert not (tmp_path / "data").exists()
    told: list[tuple[str, dict[str, Any]]] = []
    config = msgspec.structs.replace(config, network_storage_because="one machine, sync export")
    server = Server(config, tell=lambda event, /, **facts: told.append((event, facts)))
    await server.start()
    await server.stop()
    assert ("network_storage", {"kind": "nfs4", "because": "one machine, sync export"}) in told
