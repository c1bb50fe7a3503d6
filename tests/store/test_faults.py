"""A disk's trouble in one word, whoever says it."""

import errno

import apsw
import pytest

from pillarbox.store.api import StoreUnavailable
from pillarbox.store.faults import KINDS, kind_of


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "x"), "disk_full"),
        (OSError(errno.EDQUOT, "x"), "disk_full"),
        (OSError(errno.EIO, "x"), "io_error"),
        (OSError(errno.EROFS, "x"), "read_only"),
        (OSError(errno.EFBIG, "x"), "file_too_large"),
        (OSError(errno.EMFILE, "x"), "no_descriptors"),
        (OSError("without a number"), "other"),
        (apsw.FullError(), "disk_full"),
        (apsw.IOError(), "io_error"),
        (apsw.ReadOnlyError(), "read_only"),
        (apsw.CorruptError(), "damaged"),
        (ValueError(), "other"),
    ],
)
def test_kinds(error: Exception, kind: str) -> None:
    assert kind_of(error) == kind
    assert kind in KINDS
    wrapped = StoreUnavailable("try again later")
    wrapped.__cause__ = error
    assert kind_of(wrapped) == kind
