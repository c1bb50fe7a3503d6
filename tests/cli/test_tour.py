"""The tour holds, is plain when piped, becomes a picture, and fails when a step fails."""

import io
import re
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console
from tests.demo import environment

from pillarbox.cli.tour.stage import Stage, Talk
from pillarbox.cli.tour.wire import Wire

PORTS = ["25", "465", "587", "110", "995", "143", "993"]


@pytest.fixture(scope="module")
def piped(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What the tour writes into a pipe, and the picture it saves."""
    svg = tmp_path_factory.mktemp("tour") / "tour.svg"
    done = subprocess.run(
        [sys.executable, "-m", "pillarbox", "tour", "--svg", str(svg)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout, svg.read_text()


def test_each_step_holds_on_each_port(piped: tuple[str, str]) -> None:
    text, _ = piped
    assert "✗" not in text
    headings = re.findall(r"^ (\d+)   [A-Z].*─$", text, re.MULTILINE)
    assert sorted(headings) == sorted(PORTS)
    assert text.count("✓ held") == len(PORTS)
    assert "Each step held." in text


def test_it_is_plain_when_piped(piped: tuple[str, str]) -> None:
    assert "\x1b" not in piped[0]


def test_no_password_is_shown(piped: tuple[str, str]) -> None:
    for line in piped[0].splitlines():
        if re.search(r"\b[CS]: ", line):
            assert not re.search(r"(PASS|LOGIN \S+|AUTH PLAIN) (pillarbox|\w{8,}=*$)", line)


def test_the_picture_is_one(piped: tuple[str, str]) -> None:
    assert piped[1].startswith("<svg")
    assert "Pillarbox:" in piped[1]


def test_the_picture_in_the_manual_is_the_tour_s() -> None:
    picture = (Path(__file__).parents[2] / "docs" / "tour.svg").read_text()
    assert "pillarbox" in picture
    assert "✗" not in picture


def test_a_step_that_does_not_hold_fails_its_scene() -> None:
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listening.accept()
        connection.sendall(b"500 go away\r\n")
        connection.close()

    thread = threading.Thread(target=answer)
    thread.start()
    screen = io.StringIO()
    stage = Stage(Console(file=screen, width=100))
    with stage.scene(25, "Fails", "It will.") as scene:
        talk = Talk(scene, Wire(listening.getsockname()[:2], ssl.create_default_context()))
        talk.reply("220")
        scene.shows("never reached")
    with stage.scene(587, "Closed", "It is."):
        raise ConnectionRefusedError("refused")
    thread.join()
    listening.close()
    assert not stage.held
    assert [bool(outcome.failure) for outcome in stage.outcomes] == [True, True]
    assert "500 go away" in screen.getvalue()
    assert "this did not hold" in screen.getvalue()
    assert "never reached" not in screen.getvalue()
