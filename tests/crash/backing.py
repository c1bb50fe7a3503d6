"""Makes a backup or restores one, as a process that kills itself at one call of one label; see `launcher`."""

from pathlib import Path

from tests.crash.launcher import SMALL_ALONE, Death, Faults, wrap_files, wrap_index

from pillarbox.store.embedded import backup, snapshot

KEEP = 2
"""Snapshots; older ones are removed."""


def main(verb: str, source: str, target: str, folder: str, label: str = "", when: str = "", number: str = "1") -> None:
    """`verb` is back-up or restore; `folder` is where deaths are written down."""
    death, faults = Death(label, when, int(number), Path(folder)), Faults(Path(folder))
    wrap_files(death, faults)
    wrap_index(death, faults)
    backup.ALONE = SMALL_ALONE  # as the server has it
    if verb == "back-up":
        backup.back_up(Path(source), Path(target), keep=KEEP)
    else:
        assert snapshot.restore(Path(source), Path(target)) == []
