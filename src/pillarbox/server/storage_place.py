"""On which kind of file system the data directory is: a network file system is no place for it.

SQLite's write-ahead log needs memory that all its users share, and locks that hold (https://sqlite.org/wal.html §1.8); the
store needs octets to be on a disk when fsync returns. Network file systems promise neither to two machines, many of them not
to one, and what breaks then is the mail of everybody, silently.
"""

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

NETWORK = frozenset((
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fhgfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
    "orangefs", "panfs", "prl_fs", "pvfs2", "smb3", "smbfs", "vboxsf",
))  # fmt: skip
"""Types of file systems that lie on another machine, or on the host of a virtual one."""

NETWORK_FUSE = frozenset((
    "afpfs", "blobfuse", "blobfuse2", "ceph", "ceph-fuse", "curlftpfs", "davfs", "gcsfuse", "glusterfs", "goofys", "grpcfuse",
    "juicefs", "moosefs", "mfs", "osxfs", "rclone", "s3fs", "s3ql", "seaweedfs", "smbnetfs", "sshfs", "vmhgfs-fuse",
))  # fmt: skip
"""The same of programs that make one through FUSE."""

_ESCAPED = re.compile(r"\\([0-7]{3})")


def network_file_system(directory: Path) -> str:
    """The type of the network file system that a directory (which need not exist yet) is on; empty for a local one, and where
    the system does not tell."""
    try:
        lines = MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    found = file_system(os.path.realpath(directory), lines)
    kind, _, program = found.partition(".")
    is_network = program in NETWORK_FUSE if kind in ("fuse", "fuseblk") else found in NETWORK
    return found if is_network else ""


def file_system(path: str, mounts: list[str]) -> str:
    """The type of the file system that an absolute path is on, by the lines of proc(5)'s mountinfo; "" if none fits."""
    best, kind = -1, ""
    for line in mounts:
        # 36 35 98:0 /root /mount/point options [tags...] - type source options
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), fields[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:  # of two at one place the later one hides the other
            best, kind = len(point), after.split(" ")[0]
    return kind


def objection(directory: Path) -> str:
    """Why the data directory must not be where it is, and what to do; empty when all is well."""
    kind = network_file_system(directory)
    if not kind:
        return ""
    return (
        f"the data directory {directory} is on a network file system ({kind}), where locks and the database's write-ahead log "
        "cannot be relied on and mail would be lost: put `data` on a local disk or a network block device (iSCSI, RBD, EBS), "
        "or, if you know better, say why in `network_storage_because`"
    )
