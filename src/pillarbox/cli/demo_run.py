"""Running the demo, and the table that says what to type."""

import asyncio
import signal
import sys
from pathlib import Path

from pillarbox.cli.demo_server import PASSWORD, PEOPLE, PORTS, WORLD, demo_server
from pillarbox.cli.problem import Problem

ALICE, BOB = PEOPLE

_SECURE = {
    "smtp": "STARTTLS, offered",
    "submissions": "TLS from the first octet",
    "submission": "STARTTLS, required",
    "pop3": "STLS, required",
    "pop3s": "TLS from the first octet",
    "imap": "STARTTLS, required",
    "imaps": "TLS from the first octet",
}

_PROTOCOLS = {
    "smtp": "SMTP, from other servers",
    "submissions": "SMTP, people send",
    "submission": "SMTP, people send",
    "pop3": "POP3",
    "pop3s": "POP3",
    "imap": "IMAP",
    "imaps": "IMAP",
}


def fresh_directory() -> Path:
    """A temporary folder that stays."""
    from tempfile import mkdtemp

    return Path(mkdtemp(prefix="pillarbox-"))


def what_to_type(listener: str, port: int, ca: Path) -> list[str]:
    """A working command line for one port, in pieces short enough for a line of a terminal each."""
    curl = f"curl -sS --cacert {_quoted(ca)}"
    match listener:
        case "smtp":
            return [
                r"printf 'From: carol@elsewhere.example\nSubject: hello\n\nHi\n' |",
                f"{curl} --crlf -T -",
                f"--ssl-reqd smtp://localhost:{port}",
                f"--mail-from carol@elsewhere.example --mail-rcpt {ALICE}",
            ]
        case "submissions" | "submission":
            url = f"smtps://localhost:{port}" if listener == "submissions" else f"--ssl-reqd smtp://localhost:{port}"
            sender, recipient = (ALICE, BOB) if listener == "submissions" else (BOB, "friend@elsewhere.example")
            return [
                rf"printf 'From: {sender}\nSubject: hello\n\nHi\n' |",
                f"{curl} --crlf -T -",
                f"-u {sender}:{PASSWORD} {url}",
                f"--mail-from {sender} --mail-rcpt {recipient}",
            ]
        case "pop3":
            return [curl, f"-u {BOB}:{PASSWORD} --ssl-reqd pop3://localhost:{port}/"]
        case "pop3s":
            return [curl, f"-u {BOB}:{PASSWORD} pop3s://localhost:{port}/1"]
        case "imap":
            return [curl, f"-u {WORLD}:{PASSWORD} --ssl-reqd imap://localhost:{port}/"]
        case _:
            return [
                curl,
                f"-u {ALICE}:{PASSWORD} imaps://localhost:{port}/INBOX",
                "-X 'FETCH 1:* (FLAGS ENVELOPE)'",
            ]


def _quoted(path: Path) -> str:
    from shlex import quote

    return quote(str(path))


def show_table(directory: Path, offset: int) -> None:
    """What is there and what to type: on a terminal the commands are broken so that they can be copied as they are."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    console = Console(highlight=False, soft_wrap=True, width=None if terminal else 400)
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column(_columns("port", "protocol", "secure how") + "\n       what to type", overflow="fold")
    for name, port in PORTS.items():
        pieces = what_to_type(name, port + offset, directory / "ca.pem")
        command = (" \\\n         " if terminal else " ").join(pieces)
        table.add_row(
            Text.assemble(
                (_columns(str(port + offset), _PROTOCOLS[name], _SECURE[name]), "bold green"), f"\n       {command}"
            )
        )
    console.print()
    console.print(Text.assemble(("Pillarbox demo", "bold"), " is running, for this machine only. Nothing leaves it."))
    console.print(table)
    console.print(f"Accounts   {ALICE}, {BOB}; password {PASSWORD}")
    console.print(f"Elsewhere  mail for any other domain goes to {WORLD}, same password")
    console.print(f"Authority  {directory / 'ca.pem'}, for mail programs to trust")
    console.print(f"Data       {directory}, kept; again with: pillarbox demo --data {_quoted(directory)}")
    console.print("Stop it    with Ctrl-C")
    console.print()
    sys.stdout.flush()


def _columns(port: str, protocol: str, secure: str) -> str:
    return f"{port:<7}{protocol:<28}{secure}"


async def run(directory: Path, offset: int) -> None:
    """Until Ctrl-C or SIGTERM. Raises Problem when it cannot start."""
    from pillarbox.net.listener import BindError
    from pillarbox.server.assembly import StartError
    from pillarbox.store.api import StoreError

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    try:
        server = await demo_server(directory, offset)
        await server.start()
    except BindError as error:
        raise Problem(f"{error}.", next_step="Choose other ports: pillarbox demo --port-offset 20000") from None
    except (StartError, StoreError, OSError) as error:
        raise Problem(f"The demo cannot start: {error}.") from None
    show_table(directory, offset)
    await ended.wait()
    await server.stop()
    sys.stdout.write(f"\nStopped. The data is kept in {directory}\n")
