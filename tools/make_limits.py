"""Writes the table of limits in docs/security.md from the constants in the code: `python tools/make_limits.py [--check]`."""

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "security.md"
START = "<!-- limits: written by tools/make_limits.py -->"
END = "<!-- end of limits -->"


@dataclass(frozen=True)
class Limit:
    """`where`: module and attribute of the number, below pillarbox; `unit` for people; `test`: the file below tests/ that
    holds it."""

    what: str
    where: str
    unit: str
    test: str

    @property
    def value(self) -> str:
        """The number as it is in the code."""
        module, _, attribute = self.where.partition(":")
        found = attrgetter(attribute)(_Defaults(importlib.import_module(f"pillarbox.{module}")))
        number = f"{found:,.0f}" if float(found).is_integer() else f"{found:,}"
        return f"{number} {self.unit}".strip()

    @property
    def place(self) -> str:
        """The number's name, short."""
        return self.where.replace(":", ".")


class _Defaults:
    """A module whose dataclasses are looked at with their default values."""

    def __init__(self, module: object) -> None:
        self._module = module

    def __getattr__(self, name: str) -> object:
        found = getattr(self._module, name)
        return found() if isinstance(found, type) else found


LIMITS = (
    Limit("connections at once", "net.admission:AdmissionLimits.total", "", "net/test_admission.py"),
    Limit("… from one address block", "net.admission:AdmissionLimits.per_block", "", "net/test_admission.py"),
    Limit("… that have not logged in", "net.admission:AdmissionLimits.before_login", "", "net/test_admission.py"),
    Limit(
        "… that have not logged in, from one address block",
        "net.admission:AdmissionLimits.before_login_per_block",
        "",
        "net/test_admission.py",
    ),
    Limit("connections of one account", "net.admission:AdmissionLimits.per_account", "", "net/test_admission.py"),
    Limit("connections of other servers", "net.admission:AdmissionLimits.incoming", "", "net/test_admission.py"),
    Limit("… from one address block", "net.admission:AdmissionLimits.incoming_per_block", "", "net/test_admission.py"),
    Limit(
        "time to log in, however busy a peer seems",
        "net.connections:ConnectionLimits.login",
        "seconds",
        "net/test_connection.py",
    ),
    Limit("TLS handshake", "net.connections:ConnectionLimits.handshake", "seconds", "net/test_connection.py"),
    Limit("time to hand over a message", "net.connections:ConnectionLimits.message", "seconds", "net/test_pace.py"),
    Limit(
        "… and longer by what came, at",
        "net.connections:ConnectionLimits.slowest",
        "octets a second",
        "net/test_pace.py",
    ),
    Limit(
        "a peer that takes nothing", "net.connections:ConnectionLimits.write_stall", "seconds", "net/test_connection.py"
    ),
    Limit(
        "time to read our last words", "net.connections:ConnectionLimits.linger", "seconds", "net/test_connection.py"
    ),
    Limit("octets read after our last words", "net.lifeline:LINGER_OCTETS", "octets", "net/test_connection.py"),
    Limit("octets of one read that take a turn", "net.fair_queue:LARGE_READ", "octets", "net/test_fairness.py"),
    Limit("messages not yet complete, in memory", "store.spool:IN_MEMORY_TOGETHER", "octets", "store/test_spool.py"),
    Limit("… and on the disk, of what would be free", "store.spool:SHARE_OF_DISK", "", "store/test_spool.py"),
    Limit("octets received and not yet processed", "wire.engine:BACKLOG_LIMIT", "octets", "net/test_connection.py"),
    Limit("octets written and not yet sent", "wire.outbox:HIGH_WATER", "octets", "pop3/test_messages.py"),
    Limit(
        "wrong passwords from one address block",
        "access.policy:Policy.block.burst",
        "at once",
        "access/test_throttle.py",
    ),
    Limit("… and one more each", "access.policy:Policy.block.refill", "seconds", "access/test_throttle.py"),
    Limit(
        "wrong passwords for one account, from unknown places",
        "access.policy:Policy.account.burst",
        "at once",
        "access/test_throttle.py",
    ),
    Limit("… and one more each", "access.policy:Policy.account.refill", "seconds", "access/test_throttle.py"),
    Limit(
        "wrong passwords for one account, from a familiar place",
        "access.policy:Policy.familiar.burst",
        "at once",
        "access/test_throttle.py",
    ),
    Limit("a place stays familiar for", "access.policy:Policy.familiar_for", "seconds", "access/test_throttle.py"),
    Limit(
        "latest answer to a wrong password", "access.policy:Policy.longest_delay", "seconds", "access/test_throttle.py"
    ),
    Limit("passwords verified at once", "access.policy:Policy.workers", "", "access/test_service.py"),
    Limit("passwords that wait to be verified", "access.policy:Policy.queue", "", "access/test_service.py"),
    Limit(
        "passwords of one address block that are verified or wait to be",
        "access.policy:Policy.per_block",
        "",
        "access/test_service.py",
    ),
    Limit(
        "… places of them for familiar clients alone",
        "access.policy:Policy.queue_reserved",
        "",
        "access/test_service.py",
    ),
    Limit(
        "logins of one account from one block that stand in line",
        "access.policy:Policy.line",
        "",
        "access/test_service.py",
    ),
    Limit("entries of each table of access", "access.policy:Policy.remembered", "", "access/test_throttle.py"),
    Limit("an IPv4 address block", "access.policy:Policy.ipv4_block", "bits", "access/test_throttle.py"),
    Limit("an IPv6 address block", "access.policy:Policy.ipv6_block", "bits", "access/test_throttle.py"),
    Limit(
        "a verified password is known again for",
        "access.policy:Policy.verified_for",
        "seconds",
        "access/test_service.py",
    ),
    Limit(
        "passwords typed in the clear that wait to be compared",
        "access.exposure:WAITING",
        "",
        "access/test_exposure.py",
    ),
    Limit("… of one address block", "access.exposure:WAITING_PER_BLOCK", "", "access/test_exposure.py"),
    Limit("… between two comparisons", "access.exposure:PACE", "seconds", "access/test_exposure.py"),
    Limit("… for one account", "access.exposure:PER_ACCOUNT", "a day", "access/test_exposure.py"),
    Limit("iterations of SCRAM-SHA-256", "access.passwords:SCRAM_ITERATIONS", "", "access/test_passwords.py"),
    Limit("SMTP: command line", "smtp.policy:Policy.max_command", "octets", "smtp/test_engine.py"),
    Limit("SMTP: line of AUTH", "smtp.policy:Policy.max_auth_line", "octets", "smtp/test_auth.py"),
    Limit("SMTP: message", "smtp.policy:Policy.max_message", "octets", "smtp/test_body.py"),
    Limit("SMTP: header of a message", "smtp.policy:Policy.max_header", "octets", "smtp/test_body.py"),
    Limit("SMTP: recipients of a message", "smtp.policy:Policy.max_recipients", "", "smtp/test_engine.py"),
    Limit(
        "SMTP: octets of a line that does not end", "smtp.policy:Policy.max_skipped", "octets", "smtp/test_engine.py"
    ),
    Limit(
        "SMTP: commands since the last accepted message", "smtp.policy:Policy.max_commands", "", "smtp/test_engine.py"
    ),
    Limit("SMTP: bad commands", "smtp.policy:Policy.max_errors", "", "smtp/test_engine.py"),
    Limit("SMTP: refused recipients", "smtp.policy:Policy.max_refused_recipients", "", "smtp/test_engine.py"),
    Limit("SMTP: silence between commands", "smtp.policy:Policy.command_timeout", "seconds", "smtp/test_engine.py"),
    Limit("SMTP: silence within a message", "smtp.policy:Policy.data_timeout", "seconds", "smtp/test_engine.py"),
    Limit("SMTP: failed logins on one connection", "smtp.policy:Policy.max_auth_failures", "", "smtp/test_auth.py"),
    Limit(
        "submission: recipients of one account in an hour",
        "transfer.policy:Policy.recipients_per_hour",
        "",
        "transfer/test_submission.py",
    ),
    Limit(
        "submission: recipients of one account in a day",
        "transfer.policy:Policy.recipients_per_day",
        "",
        "transfer/test_submission.py",
    ),
    Limit("reception: Received fields", "transfer.policy:Policy.max_received", "", "transfer/test_reception.py"),
    Limit("IMAP: command before login", "imap.policy:Limits.before_login.command", "octets", "imap/test_framing.py"),
    Limit("IMAP: literal before login", "imap.policy:Limits.before_login.literal", "octets", "imap/test_framing.py"),
    Limit("IMAP: command after login", "imap.policy:Limits.after_login.command", "octets", "imap/test_framing.py"),
    Limit("IMAP: literal after login", "imap.policy:Limits.after_login.literal", "octets", "imap/test_framing.py"),
    Limit("IMAP: literals in one command", "imap.policy:Limits.literals", "", "imap/test_framing.py"),
    Limit("IMAP: appended message", "imap.policy:Policy.max_message", "octets", "imap/test_append.py"),
    Limit("IMAP: bad commands before login", "imap.policy:Limits.bad_commands_before_login", "", "imap/test_engine.py"),
    Limit("IMAP: commands before login", "imap.policy:Limits.commands_before_login", "", "imap/test_engine.py"),
    Limit("IMAP: failed logins on one connection", "imap.policy:Limits.failed_logins", "", "imap/test_engine.py"),
    Limit("IMAP: silence before login", "imap.policy:Limits.login_seconds", "seconds", "imap/test_engine.py"),
    Limit("IMAP: silence after login", "imap.policy:Limits.idle_seconds", "seconds", "imap/test_engine.py"),
    Limit("POP3: command line", "pop3.policy:Policy.command_line", "octets", "pop3/test_dialogs.py"),
    Limit(
        "POP3: octets of a line that does not end", "pop3.policy:Policy.skipped", "octets", "pop3/test_tls_and_ends.py"
    ),
    Limit("POP3: line of AUTH", "pop3.policy:Policy.sasl_line", "octets", "pop3/test_dialogs.py"),
    Limit("POP3: bad commands before login", "pop3.policy:Policy.bad_commands", "", "pop3/test_dialogs.py"),
    Limit("POP3: commands before login", "pop3.policy:Policy.commands_before_login", "", "pop3/test_tls_and_ends.py"),
    Limit("POP3: failed logins on one connection", "pop3.policy:Policy.failed_logins", "", "pop3/test_tls_and_ends.py"),
    Limit("POP3: silence before login", "pop3.policy:Policy.login_timeout", "seconds", "pop3/test_tls_and_ends.py"),
    Limit("POP3: silence after login", "pop3.policy:Policy.timeout", "seconds", "pop3/test_tls_and_ends.py"),
    Limit("mailboxes of one account", "store.names:MAX_MAILBOXES", "", "store/test_contract_mailboxes.py"),
    Limit("levels of a mailbox's name", "store.names:MAX_LEVELS", "", "store/test_contract_mailboxes.py"),
    Limit("IMAP: ranges in one message set", "imap.grammar:MAX_RANGES", "", "imap/test_grammar.py"),
    Limit(
        "lines of one kind that strangers provoke", "observe.damper:LINES", "in 10 seconds", "observe/test_damper.py"
    ),
    Limit("metrics page: a request", "observe.scrape:MAX_REQUEST", "octets", "observe/test_scrape.py"),
    Limit("… until it is complete", "observe.scrape:TIMEOUT", "seconds", "observe/test_scrape.py"),
    Limit("MIME: parts inside of parts", "mail.mime:MAX_DEPTH", "", "mail/test_mime.py"),
    Limit("MIME: parts of a message", "mail.mime:MAX_PARTS", "", "mail/test_mime.py"),
)


def table() -> Iterator[str]:
    """The lines of the Markdown table."""
    yield "| limit | default | in the code | held by |"
    yield "|---|---|---|---|"
    for limit in LIMITS:
        yield f"| {limit.what} | {limit.value} | `{limit.place}` | `tests/{limit.test}` |"


def document(current: str) -> str:
    """The file with a fresh table in its place."""
    before, _, rest = current.partition(START)
    _, _, after = rest.partition(END)
    return before + START + "\n" + "\n".join(table()) + "\n" + END + after


def main() -> int:
    """Write the table; with --check only say whether it is up to date (exit status 1: it is not)."""
    current = TARGET.read_text(encoding="utf-8")
    fresh = document(current)
    if "--check" in sys.argv:
        if fresh != current:
            print(f"{TARGET.name} is out of date: run python tools/make_limits.py")
        return int(fresh != current)
    TARGET.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
