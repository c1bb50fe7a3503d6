"""The bounds of an input bite, and a finding can be repeated from what is printed."""

import resource
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from fuzz import __main__ as command
from fuzz import run
from fuzz.bounds import LARGEST, TooLarge, TooSlow, bounded
from fuzz.dictionary import FOLDER, words
from fuzz.place import names
from fuzz.targets import TARGETS


def test_an_endless_input_is_interrupted_where_it_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz.bounds.SLOWEST", 0.05)

    def endless(_octets: bytes) -> None:
        while True:
            try:
                sum(range(1000))
            except Exception:  # what an engine does with its own mistakes
                continue

    with pytest.raises(TooSlow) as caught:
        bounded(endless)(b"")
    assert caught.traceback[-2].name == "endless"


def test_time_is_in_proportion_to_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz.bounds.BASE", 0.0)
    monkeypatch.setattr("fuzz.bounds.PER_OCTET", 1e-3)

    def some(_octets: bytes) -> None:
        sum(range(1_000_000))

    bounded(some)(bytes(4000))
    with pytest.raises(TooSlow):
        bounded(some)(b"")


def test_memory_is_bounded() -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def large(_octets: bytes) -> None:
        assert len(b"x" * (peak + 2 * LARGEST))

    with pytest.raises(TooLarge):
        bounded(large)(bytes(4000))


def test_every_dictionary_belongs_to_a_target_and_can_be_read() -> None:
    assert {path.stem for path in FOLDER.glob("*")} <= set(names())
    assert all(words(name) for name in names() if (FOLDER / f"{name}.dict").exists())


def test_a_finding_is_kept_and_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(octets: bytes) -> None:
        assert b"\xff" not in octets, "found"

    monkeypatch.setitem(TARGETS, "date", broken)
    monkeypatch.setattr(run, "FINDINGS", tmp_path)
    assert run.blind("date", 20) == 1
    (path,) = run.findings("date")
    octets = path.read_bytes()
    assert b"\xff" in octets
    assert command.octets_of(b64encode(octets).decode()) == command.octets_of(str(path)) == octets
    with pytest.raises(AssertionError, match="found"):
        run.again("date", octets)


def test_a_seeded_command_is_loaded_where_it_was_before() -> None:
    prefix = command.steady()
    if not prefix:
        pytest.skip("this system does not let us say so")
    where = [
        *prefix,
        sys.executable,
        "-c",
        "import ctypes; print(ctypes.addressof(ctypes.c_int.in_dll(ctypes.pythonapi, 'Py_NoSiteFlag')))",
    ]
    assert len({subprocess.run(where, capture_output=True, check=True).stdout for _ in range(4)}) == 1


def test_blind_runs_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.blind("date", 0) == 0
    assert "number_of_executed_units" in capsys.readouterr().err
