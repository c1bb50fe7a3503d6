"""What scanners of the trade say about all seven ports: sslscan, testssl.sh, and nmap's mail and TLS scripts.

`python -m tests.gates.scan [--write]` starts a real server on the standard ports of a loopback address, lets them look at it,
prints one table, and with `--write` puts it into docs/security.md. Exit status 1 when a check fails. Root is needed, because
nmap knows mail by its port numbers.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from pillarbox.server.control import NAME as CONTROL
from pillarbox.server.control import ControlError, call

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "docs" / "security.md"
BEGIN, END = "<!-- scan: written by tests/gates/scan.py -->", "<!-- end of scan -->"

ADDRESS, NAME = "127.3.5.7", "mail.example.test"
PORTS = {"smtp": 25, "submissions": 465, "submission": 587, "pop3": 110, "pop3s": 995, "imap": 143, "imaps": 993}
STARTTLS = {25: "smtp", 587: "smtp", 110: "pop3", 143: "imap"}
THOROUGH = (465, 25, 110, 143)
"""One port of each way into TLS; testssl.sh takes a minute for each."""

PROGRAMS = ("sslscan", "testssl", "nmap")
SCRIPTS = "ssl-enum-ciphers,smtp-open-relay,smtp-commands,imap-capabilities,pop3-capabilities"

FORWARD_SECRET = re.compile(r"TLS_(AES|CHACHA20|AKE_WITH)_|ECDHE-|TLS_ECDHE_")
AUTHENTICATED = re.compile(r"GCM|CHACHA20|CCM")
LOGIN = re.compile(r"AUTH[ =]|SASL(?!-IR)|\bUSER\b(?!\))|PLAIN|SCRAM")
"""What offers a login in a list of capabilities. POP3's UTF8(USER) is about names."""

FINE = {"OK", "INFO", "DEBUG"}
NOT_OURS = {
    "engine_problem",  # testssl.sh's own OpenSSL
    "sessionresumption_ticket",  # checks that testssl.sh cannot do over STARTTLS, as it says
    "sessionresumption_ID",
    "cert_revocation",  # no OCSP: certificates of today live shortly instead
    "cert_validityPeriod",  # the test's own certificate
}
"""Complaints of testssl.sh that are not about the server."""

CHECKS = {
    "protocols": "TLS 1.2 and 1.3, nothing older",
    "ciphers": "forward secrecy and authenticated encryption only",
    "compression": "no compression",
    "renegotiation": "no renegotiation by the client",
    "chain": "the full chain, and the right name",
    "weaknesses": "no known weakness (Heartbleed, ROBOT, CCS, DROWN, LOGJAM, FREAK, ...)",
    "logins": "no login offered before TLS",
    "logins inside": "logins offered inside TLS; on 25 never",
    "relay": "no open relay",
}


@dataclass
class Report:
    """What was found. `passed` by check and port: who agreed; `failed`: in words."""

    passed: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def note(self, check: str, port: int, program: str, *, good: bool, said: object = "") -> None:
        if good:
            self.passed.setdefault((check, port), set()).add(program)
        else:
            self.failed.append(f"{program}, port {port}: not {CHECKS[check]!r}: {said}")

    def table(self) -> str:
        """Markdown: a row for each check, a column for each port, who agreed at the end."""
        rows = [
            "| checked from outside | " + " | ".join(map(str, PORTS.values())) + " | by |",
            "|---" * (len(PORTS) + 2) + "|",
        ]
        for check, words in CHECKS.items():
            agreed = {port: self.passed.get((check, port), set()) for port in PORTS.values()}
            cells = ["yes" if agreed[port] else "" for port in PORTS.values()]
            rows.append(f"| {words} | {' | '.join(cells)} | {', '.join(sorted(set().union(*agreed.values())))} |")
        return "\n".join(rows)


def missing() -> str:
    """What to do before this can run; nothing when all is there."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"{' and '.join(absent)} missing: apt-get install sslscan testssl.sh nmap"
    return "" if os.geteuid() == 0 else "nmap knows mail by its ports, and those below 1024 are root's: sudo make scan"


@contextmanager
def served(folder: Path) -> Iterator[None]:
    """A server on the standard ports, its certificate signed by an intermediate authority."""
    root = trustme.CA()
    leaf = trustme.CA(parent_cert=root).issue_cert(NAME, not_after=datetime.now(UTC) + timedelta(days=90))
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "chain.pem").write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
    root.cert_pem.write_to_path(folder / "root.pem")
    listeners = "".join(
        f'[listeners.{name}]\nhost = "{ADDRESS}"\nport = {port}\n'
        f'security = "{"starttls" if port in STARTTLS else "implicit"}"\n'
        for name, port in PORTS.items()
    )
    (folder / "pillarbox.toml").write_text(
        f'host_name = "{NAME}"\ndata = "{folder / "data"}"\ndomains = ["example.test"]\n'
        f'[tls]\ncertificate = "{folder / "chain.pem"}"\nkey = "{folder / "key.pem"}"\n'
        f'[dns]\nservers = ["127.0.0.1:9"]\n{listeners}'
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pillarbox", "serve", "--config", str(folder / "pillarbox.toml")],
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                call(folder / "data" / CONTROL, "list_domains", {})
                break
            except (OSError, ControlError):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server did not start:\n{(folder / 'log').read_text()}") from None
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)


def run(*command: str, patience: float = 900.0) -> str:
    """A scanner, without a terminal; what it printed."""
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=patience,
        env=environment,
        check=False,
    )
    return done.stdout


def sslscan(folder: Path, port: int, report: Report) -> None:
    """Protocols, suites, compression, renegotiation and Heartbleed, quickly."""
    file = folder / f"sslscan-{port}.xml"
    way = [f"--starttls-{STARTTLS[port]}"] if port in STARTTLS else []
    said = run("sslscan", "--no-colour", f"--xml={file}", *way, f"{ADDRESS}:{port}")
    tests = ET.parse(file).getroot().find("ssltest")
    assert tests is not None, said
    enabled = {(p.get("type"), p.get("version")) for p in tests.iter("protocol") if p.get("enabled") == "1"}
    good = enabled == {("tls", "1.2"), ("tls", "1.3")}
    report.note("protocols", port, "sslscan", good=good, said=enabled)
    suites = [c.get("cipher", "") for c in tests.iter("cipher")]
    report.note("ciphers", port, "sslscan", good=all_strong(suites), said=suites)
    renegotiation = [r.get("supported") for r in tests.iter("renegotiation")]
    report.note("renegotiation", port, "sslscan", good=renegotiation == ["0"], said=renegotiation)
    leaks = [h.get("vulnerable") for h in tests.iter("heartbleed")]
    report.note("weaknesses", port, "sslscan", good=bool(leaks) and set(leaks) == {"0"}, said=leaks)


def all_strong(suites: list[str]) -> bool:
    """Whether there are suites, and each has forward secrecy and authenticated encryption."""
    return bool(suites) and all(FORWARD_SECRET.match(name) and AUTHENTICATED.search(name) for name in suites)


def testssl(folder: Path, port: int, report: Report) -> None:
    """The same thoroughly, with the chain and the known weaknesses."""
    file = folder / f"testssl-{port}.json"
    way = ["-t", STARTTLS[port]] if port in STARTTLS else []
    said = run(
        "testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", ADDRESS, "--add-ca",
        str(folder / "root.pem"), "--jsonfile", str(file), *way, "-p", "-f", "-S", "-R", "-U", f"{NAME}:{port}",
    )  # fmt: skip
    found = {record["id"]: (record["severity"], record["finding"]) for record in json.loads(file.read_text())}

    def note(
        check: str, *ids: str, good: Callable[[str, str], bool] = lambda severity, _finding: severity == "OK"
    ) -> None:
        results = {name: found.get(name, ("", said[-500:])) for name in ids}
        report.note(check, port, "testssl.sh", good=all(good(*result) for result in results.values()), said=results)

    note("protocols", "SSLv2", "SSLv3", "TLS1", "TLS1_1", good=lambda _severity, finding: finding == "not offered")
    note("protocols", "TLS1_2", "TLS1_3")
    note("ciphers", "PFS", "RC4", "SWEET32", "LUCKY13", "BEAST")
    note("compression", "CRIME_TLS")
    note("renegotiation", "secure_client_renego")
    note("chain", "cert_chain_of_trust", "cert_trust")
    note("chain", "certs_countServer", good=lambda _severity, finding: int(finding) >= 2)
    note("weaknesses", "heartbleed", "CCS", "ROBOT", "DROWN", "LOGJAM", "FREAK", "POODLE_SSL")
    others = {name: said for name, said in found.items() if said[0] not in FINE and name not in NOT_OURS}
    report.note("weaknesses", port, "testssl.sh", good=not others, said=others)


def nmap(folder: Path, report: Report) -> None:
    """All ports at once: suites, what is offered, and whether it relays."""
    file = folder / "nmap.xml"
    ports = ",".join(map(str, PORTS.values()))
    run("nmap", "-Pn", "-n", "-p", ports, "--script", SCRIPTS, "-oX", str(file), ADDRESS)
    for element in ET.parse(file).getroot().iter("port"):
        port = int(element.get("portid", "0"))
        scripts = {script.get("id", ""): script for script in element.iter("script")}
        tables = {
            table.get("key", ""): table
            for table in scripts["ssl-enum-ciphers"].findall("table")
            if table.get("key", "").startswith(("TLS", "SSL"))
        }
        report.note("protocols", port, "nmap", good=set(tables) == {"TLSv1.2", "TLSv1.3"}, said=set(tables))
        suites = [e.text or "" for table in tables.values() for e in table.iter("elem") if e.get("key") == "name"]
        report.note("ciphers", port, "nmap", good=all_strong(suites), said=suites)
        compressors = [
            e.text for table in tables["TLSv1.2"].findall("table") if table.get("key") == "compressors" for e in table
        ]
        report.note("compression", port, "nmap", good=compressors == ["NULL"], said=compressors)
        nmap_mail(port, {name: script.get("output", "") for name, script in scripts.items()}, report)


def nmap_mail(port: int, said: dict[str, str], report: Report) -> None:
    """What nmap's mail scripts found on one port."""
    if port in (25, 465, 587):
        relay = said["smtp-open-relay"]
        report.note(
            "relay", port, "nmap", good=bool(re.search(r"(doesn't seem to be|isn't) an open relay", relay)), said=relay
        )
        offered = said["smtp-commands"].partition("\n")[0]  # the second line is HELP's
    else:
        offered = said["imap-capabilities" if port in (143, 993) else "pop3-capabilities"]
    offers = LOGIN.search(offered) is not None
    if port in STARTTLS:
        way = "STLS" if port == 110 else "STARTTLS"
        good = not offers and way in offered and (port != 143 or "LOGINDISABLED" in offered)
        report.note("logins", port, "nmap", good=good, said=offered)
    else:
        report.note("logins inside", port, "nmap", good=offers, said=offered)


def openssl(folder: Path, port: int, report: Report) -> None:
    """The chain and the name, verified strictly; and what is offered inside STARTTLS, which nmap does not look at."""
    way = ["-starttls", STARTTLS[port]] if port in STARTTLS else []
    questions = {"smtp": "EHLO x\nQUIT\n", "pop3": "CAPA\nQUIT\n", "imap": "a CAPABILITY\nb LOGOUT\n"}
    protocol = {110: "pop3", 995: "pop3", 143: "imap", 993: "imap"}.get(port, "smtp")
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{ADDRESS}:{port}", *way, "-CAfile", str(folder / "root.pem"), "-crlf", "-quiet",
         "-verify_hostname", NAME, "-verify_return_error", "-ign_eof"],
        input=questions[protocol], capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    good = done.returncode == 0 and "verify return:0" not in done.stderr and "verify error" not in done.stderr
    report.note("chain", port, "openssl", good=good, said=done.stderr)
    offers = LOGIN.search(done.stdout) is not None
    report.note("logins inside", port, "openssl", good=offers == (port != 25), said=done.stdout)


def scan() -> Report:
    """Everything, side by side."""
    report = Report()
    with tempfile.TemporaryDirectory() as name, served(Path(name)), ThreadPoolExecutor(8) as pool:
        folder = Path(name)
        begun = [pool.submit(testssl, folder, port, report) for port in THOROUGH]
        begun.append(pool.submit(nmap, folder, report))
        begun += [pool.submit(look, folder, port, report) for look in (sslscan, openssl) for port in PORTS.values()]
        for task in begun:
            task.result()
    return report


def written() -> str:
    """The table as docs/security.md has it."""
    _, begin, rest = TARGET.read_text(encoding="utf-8").partition(BEGIN)
    table, end, _ = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{TARGET} has no place for the table")
    return table.strip()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Scan a server of ours from outside.")
    parser.add_argument("--write", action="store_true", help="put the table into docs/security.md")
    arguments = parser.parse_args()
    if problem := missing():
        raise SystemExit(problem)
    report = scan()
    print(report.table())
    if arguments.write:
        text = TARGET.read_text(encoding="utf-8")
        TARGET.write_text(text.replace(written(), report.table()), encoding="utf-8")
    if report.failed:
        raise SystemExit("\n".join(report.failed))


if __name__ == "__main__":
    main()
