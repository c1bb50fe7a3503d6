"""`pillarbox config`: is a configuration right, and what can be configured."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pillarbox.server.settings import Config

app = typer.Typer(no_args_is_help=True, help="The configuration: check a file, explain every setting.")


@app.command()
def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="The configuration, TOML.")]) -> None:
    """Say whether a configuration file is right, and if not, what is wrong. Nothing is started."""
    from pillarbox.cli.load import load_config
    from pillarbox.cli.show import say

    config = load_config(file)
    _check_certificates(config)
    _check_place(config)
    say(f"{file} is right.")
    say(f"  name      {config.host_name or 'what the machine is called'}")
    say(f"  domains   {', '.join(config.domains) or 'those of `pillarbox domain add`'}")
    say(f"  data      {config.data}")
    for name, listener in config.listeners.named().items():
        if listener.enabled:
            say(f"  {name:<12}{listener.host} port {listener.port}, {_SECURITY[listener.security]}")
    if not config.tls.certificate:
        say(
            "  certificate: from the server's own authority, which nobody knows. For real use: tls.certificate, tls.key"
        )


_SECURITY = {"implicit": "TLS from the first octet", "starttls": "STARTTLS", "none": "no TLS"}


def _check_place(config: "Config") -> None:
    from pillarbox.cli.problem import WRONG, Problem
    from pillarbox.server.storage_place import objection

    if not config.network_storage_because and (why_not := objection(Path(config.data))):
        raise Problem(f"{why_not[0].upper()}{why_not[1:]}.", status=WRONG)


def _check_certificates(config: "Config") -> None:
    import ssl

    from pillarbox.cli.problem import WRONG, Problem
    from pillarbox.net.tls import CertificateFiles, TlsProfile, server_context

    files = [(config.tls.certificate, config.tls.key), *((m.certificate, m.key) for m in config.tls.more)]
    for certificate, key in files:
        if not certificate:
            continue
        try:
            server_context(CertificateFiles(Path(certificate), Path(key)), TlsProfile())
        except ssl.SSLError as error:
            reason = (error.reason or str(error)).lower().replace("_", " ")
            raise Problem(
                f"{certificate} and {key} do not make a certificate: {reason}.",
                next_step="Both are to be PEM, and the key must be the certificate's own, without a passphrase.",
                status=WRONG,
            ) from None
        except OSError as error:
            raise Problem(f"{certificate} or {key} cannot be read: {error.strerror}.", status=WRONG) from None


@app.command()
def explain() -> None:
    """List every setting with its default and its meaning: the output is a configuration file."""
    import sys

    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    styles = {"#": "bright_black", "[": "bold cyan"}
    for line in lines(min(console.width, 100) if sys.stdout.isatty() else 100):
        console.print(Text(line, styles.get(line[:1], "green")))


def lines(width: int = 100) -> list[str]:
    """Every setting as TOML, its meaning above it; tables that may be repeated are commented out."""
    from textwrap import wrap

    from pillarbox.server.settings import settings

    written = []
    for setting in settings():
        is_table = setting.key.startswith("[")
        if is_table:
            written.append("")
        written += wrap(setting.meaning, width, initial_indent="# ", subsequent_indent="# ")
        off = "#" if setting.key.startswith("[[") or "[]." in setting.key else ""
        line = setting.key if is_table else f"{setting.key.rpartition('.')[2]} = {setting.default}"
        written.append(off + line)
    return written
