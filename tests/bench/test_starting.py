"""The start benchmark runs, and its demo really serves; how fast is not looked at."""

from pathlib import Path

import pytest
from bench.starting import measured


@pytest.mark.slow
def test_it_measures_what_it_says(tmp_path: Path) -> None:
    measured(tmp_path, times=1, messages=10, output=tmp_path / "results")
    rows = (tmp_path / "results" / "starting.md").read_text().splitlines()[-3:]
    assert [row.split(" | ")[0] for row in rows] == [
        "| `pillarbox --help`",
        "| `pillarbox demo` on a fresh folder",
        "| `pillarbox demo` on a mailbox of 10",
    ]
