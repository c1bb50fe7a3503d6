"""What is the matter with a disk, in one word for metrics and the log: few kinds, whatever the system calls them."""

import errno

KINDS = ("disk_full", "io_error", "read_only", "file_too_large", "no_descriptors", "damaged", "other")

_BY_NUMBER = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EIO: "io_error",
    errno.EROFS: "read_only",
    errno.EFBIG: "file_too_large",
    errno.EMFILE: "no_descriptors",
    errno.ENFILE: "no_descriptors",
}

_BY_NAME = {
    "FullError": "disk_full",
    "IOError": "io_error",
    "ReadOnlyError": "read_only",
    "CorruptError": "damaged",
    "NotADBError": "damaged",
}
"""SQLite's errors by the names of their classes; only a home that uses it knows those."""


def kind_of(error: BaseException) -> str:
    """One of KINDS, after the error or what caused it."""
    seen: BaseException | None = error
    while seen is not None:
        kind = _BY_NUMBER.get(seen.errno or 0) if isinstance(seen, OSError) else _BY_NAME.get(type(seen).__name__)
        if kind is not None:
            return kind
        seen = seen.__cause__
    return "other"
