"""The configuration file: what is good, and which sentence each mistake gets."""

from pathlib import Path
from typing import Any

import pytest

from pillarbox.server.config import Config, ConfigError, load, name_servers, parse
from pillarbox.server.settings import Dns, settings

BAD = [
    ('hostname = "x"', "`hostname` is not a setting. Did you mean `host_name`?"),
    ("[limits]\nmesage_size = 1", "`limits.mesage_size` is not a setting. Did you mean `limits.message_size`?"),
    ('level = "debug"', "`level` is not a setting. Did you mean `log.level`?"),
    ("xyzzy = 1", "`xyzzy` is not a setting. `pillarbox config explain` lists all of them."),
    ("[listeners.imap4]\nport = 1", "`listeners.imap4` is not a setting. Did you mean `listeners.imap`?"),
    (
        'disable_plaintext_auth = "no"',
        (
            "`disable_plaintext_auth` is not a setting: passwords never travel in the clear here, so that there is "
            "nothing to set. Remove it."
        ),
    ),
    ("[limits]\nmessage_size = '1'", "`limits.message_size` is to be a whole number, not text in quotes."),
    ("[limits]\nrecipients = 0", "`limits.recipients` is to be at least 1."),
    ("[access]\nblock_burst = 0", "`access.block_burst` is to be at least 1."),
    ("[access]\nipv4_block = 33", "`access.ipv4_block` is to be at most 32."),
    (
        '[access]\nnever_refused = ["home"]',
        '`access.never_refused`: \'home\' is not a network. It looks like "192.0.2.0/24" or "2001:db8::/32".',
    ),
    (
        '[listeners.imaps]\nproxy_from = ["192.0.2.1/24"]',
        (
            "`listeners.imaps.proxy_from`: '192.0.2.1/24' is not a network: 192.0.2.1/24 has host bits set. "
            'It looks like "192.0.2.7/32".'
        ),
    ),
    (
        '[listeners.smtp]\nproxy_from = ["::/0"]',
        "`listeners.smtp.proxy_from`: '::/0' is everybody, and any client could claim any address. Name the proxies alone.",
    ),
    ("[access]\nfirst_delay = 10", "`access.first_delay` is longer than `access.longest_delay`."),
    ("[relay]\nfirst_wait = 0", "`relay.first_wait` is to be more than 0."),
    ("data = 1", "`data` is to be text in quotes, not a whole number."),
    ("domains = [1]", "`domains[0]` is to be text in quotes, not a whole number."),
    ('tls = "x"', "`tls` is to be a table, not text in quotes."),
    ("[listeners]\nimap = 993", "`listeners.imap` is to be a table, not a whole number."),
    ("[listeners.imap]\nport = 70000", "`listeners.imap.port` is to be at most 65535."),
    (
        '[listeners.imap]\nsecurity = "plain"',
        "`listeners.imap.security` cannot be 'plain'. It is one of implicit, none, starttls.",
    ),
    ('[[tls.more]]\ncertificate = "x"', "`tls.more[0]` needs `key`."),
    (
        '[[tls.more]]\ncertificat = "x"',
        "`tls.more[0].certificat` is not a setting. Did you mean `tls.more[0].certificate`?",
    ),
    ('[tls]\ncertificate = "x"', "`tls.key` is missing. A certificate and its key belong together."),
    ('domains = ["a b"]', "`domains`: 'a b' is not a domain name: the domain has a malformed label."),
    (
        'postmaster = "me"',
        "`postmaster`: 'me' is not an address: an address has the form name@domain. It looks like anna@example.org.",
    ),
    ("[listeners.imap]\nport = 25", "`listeners.imap` and `listeners.smtp` have the same port 25."),
    (
        '[relay.smarthost]\nhost = "h"\nusername = "u"',
        "`relay.smarthost.password_file` is missing. A name and its password belong together.",
    ),
    ("a =", "not TOML: Invalid value (at end of document)."),
]

IN_THE_CLEAR = [
    *(
        f'[listeners.{name}]\nsecurity = "none"'
        for name in ("submissions", "submission", "pop3", "pop3s", "imap", "imaps")
    ),
    '[relay.smarthost]\nhost = "h"\nusername = "u"\npassword_file = "f"\nsecurity = "none"',
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=[text for text, _ in BAD])
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text.encode())
    assert str(caught.value) == message


def test_values_nested_without_end_are_a_mistake_like_others() -> None:
    with pytest.raises(ConfigError, match="nested too deep"):
        parse(b"a = " + b"[" * 5000 + b"]" * 5000)


@pytest.mark.parametrize("text", IN_THE_CLEAR)
def test_nothing_sends_a_password_in_the_clear(text: str) -> None:
    with pytest.raises(ConfigError, match="in the clear"):
        parse(text.encode())


def test_empty_file_is_the_default() -> None:
    assert parse(b"") == Config()
    ports = {name: listener.port for name, listener in Config().listeners.named().items()}
    assert ports == {
        "smtp": 25,
        "submissions": 465,
        "submission": 587,
        "pop3": 110,
        "pop3s": 995,
        "imap": 143,
        "imaps": 993,
    }


def test_naming_one_thing_of_a_listener_keeps_the_rest() -> None:
    imaps = parse(b'[listeners.imaps]\nhost = "127.0.0.1"').listeners.imaps
    assert (imaps.host, imaps.port, imaps.security, imaps.enabled) == ("127.0.0.1", 993, "implicit", True)


def test_port_25_may_do_without_tls() -> None:
    assert parse(b'[listeners.smtp]\nsecurity = "none"').listeners.smtp.security == "none"


def test_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "pillarbox.toml"
    file.write_text("xyzzy = 1")
    with pytest.raises(ConfigError, match=f"^{file}: `xyzzy`"):
        load(file)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "gone.toml")
    file.write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(file)


def test_every_setting_has_a_meaning_and_its_default_is_true() -> None:
    found = settings()
    assert len(found) > 50
    for setting in found:
        assert setting.meaning.endswith("."), setting.key
    defaults = {s.key: s.default for s in found}
    assert defaults["listeners.imaps.port"] == "993"
    assert defaults["listeners.imaps.security"] == '"implicit"'
    assert defaults["limits.shutdown_patience"] == "20"
    assert defaults["data"] == '"/var/lib/pillarbox"'


def test_what_is_explained_is_what_is_read() -> None:
    """The defaults written as a file give the default configuration."""
    lines: list[str] = []
    tables: dict[str, list[str]] = {"": lines}
    for setting in settings():
        if setting.key.startswith("[") or "[]" in setting.key:
            continue
        table, _, name = setting.key.rpartition(".")
        tables.setdefault(table, []).append(f"{name} = {setting.default}")
    text = "\n".join(line for table, entries in tables.items() for line in ([f"[{table}]"] if table else []) + entries)
    config: Any = parse(text.encode())
    assert config == Config()


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ([], ()),
        (["127.0.0.1"], (("127.0.0.1", 53),)),
        (["127.0.0.1:5353", "[::1]:5354"], (("127.0.0.1", 5353), ("::1", 5354))),
        (["2001:db8::1", "[2001:db8::2]"], (("2001:db8::1", 53), ("2001:db8::2", 53))),
    ],
)
def test_name_servers(servers: list[str], expected: tuple[tuple[str, int], ...]) -> None:
    assert name_servers(Config(dns=Dns(servers=servers))) == expected


@pytest.mark.parametrize("servers", ['["dns.example.org"]', '["127.0.0.1:"]', '["127.0.0.1:x"]'])
def test_bad_name_servers(servers: str) -> None:
    with pytest.raises(ConfigError, match=r"`dns\.servers`"):
        parse(f"[dns]\nservers = {servers}".encode())
