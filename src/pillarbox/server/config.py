"""Reading the configuration file: every mistake gets a sentence that names the setting and says what to do.

Nothing here starts anything. What could send a password in the clear is refused before any port is open.
"""

import difflib
import re
import tomllib
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from pillarbox.mail.address import Address, BadAddress, normalise_domain
from pillarbox.server.settings import Config, Listener, Listeners, Smarthost, struct_of

__all__ = ["Config", "ConfigError", "Listener", "Listeners", "check", "load", "name_servers", "parse"]

_AT = re.compile(r" - at `\$\.?(?P<key>.*)`$")

_BRACKETED = re.compile(r"\[([^]]+)\](?::(\d{1,5}))?")
_WITH_PORT = re.compile(r"([^:]+):(\d{1,5})")

_OTHER_SERVERS = {
    "disable_plaintext_auth": "passwords never travel in the clear here, so that there is nothing to set",
    "allow_plaintext_auth": "passwords never travel in the clear here, and that cannot be changed",
    "auth_allow_cleartext": "passwords never travel in the clear here, and that cannot be changed",
    "mynetworks": "nobody may relay without logging in here, whatever their address",
}
"""Settings that people bring along from other servers, and why they are not needed."""

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text in quotes",
    "bool": "true or false",
    "array": "a list in square brackets",
    "object": "a table",
    "null": "nothing",
}


class ConfigError(Exception):
    """The configuration cannot be used; the text says where and why, `advice` what to do."""

    def __init__(self, text: str, advice: str = "") -> None:
        super().__init__(text)
        self.text, self.advice = text, advice

    def __str__(self) -> str:
        return f"{self.text}. {self.advice}".rstrip() if self.advice else f"{self.text}."


def load(path: Path | str) -> Config:
    """Read and check a file. Raises ConfigError."""
    try:
        octets = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    try:
        return parse(octets)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.text}", error.advice) from None


def parse(octets: bytes) -> Config:
    """Check the octets of a file. Raises ConfigError."""
    try:
        table = tomllib.loads(octets.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 at octet {error.start}", "Save the file as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not TOML: {error}") from None
    except RecursionError:
        raise ConfigError("values are nested too deep", "No setting is a list of lists.") from None
    _refuse_unknown(table, Config, "")
    try:
        config = msgspec.convert(_with_defaults(table), Config)
    except msgspec.ValidationError as error:
        raise _wrong_value(str(error)) from None
    check(config)
    return config


def check(config: Config) -> None:
    """What types cannot say. Raises ConfigError."""
    _check_names(config)
    _check_listeners(config)
    _check_relay(config)
    name_servers(config)
    _check_access(config)
    if bool(config.tls.certificate) != bool(config.tls.key):
        missing = "key" if config.tls.certificate else "certificate"
        raise ConfigError(f"`tls.{missing}` is missing", "A certificate and its key belong together.")
    if not config.data:
        raise ConfigError("`data` is empty", "Name the directory that is to hold all mail.")


def name_servers(config: Config) -> tuple[tuple[str, int], ...]:
    """Addresses and ports of the name servers; none for the system's. Raises ConfigError."""
    found: list[tuple[str, int]] = []
    for entry in config.dns.servers:
        match = _BRACKETED.fullmatch(entry) or _WITH_PORT.fullmatch(entry)
        host, port = match.groups(default="53") if match else (entry, "53")
        try:
            found.append((str(ip_address(host)), int(port)))
        except ValueError:
            raise ConfigError(
                f"`dns.servers`: {entry!r} is not an IP address", 'It looks like "192.0.2.1" or "[2001:db8::1]:53".'
            ) from None
    return tuple(found)


# --- unknown keys and wrong types -------------------------------------------------------------------------------------


def _refuse_unknown(table: dict[str, Any], struct: type[msgspec.Struct], prefix: str) -> None:
    hints = get_type_hints(struct, include_extras=True)
    for name, value in table.items():
        key = f"{prefix}{name}"
        if name not in hints:
            raise _unknown(key, name, prefix, list(hints))
        inner = struct_of(hints[name])
        if inner is None:
            continue
        if isinstance(value, dict):
            _refuse_unknown(value, inner, f"{key}.")
        elif isinstance(value, list):
            for index, entry in enumerate(value):
                if isinstance(entry, dict):
                    _refuse_unknown(entry, inner, f"{key}[{index}].")


def _with_defaults(table: dict[str, Any]) -> dict[str, Any]:
    """Listeners differ in their defaults, so that naming a host must not forget the port."""
    listeners = table.get("listeners")
    if not isinstance(listeners, dict):
        return table
    merged = {
        name: {**msgspec.to_builtins(default), **given} if isinstance(given, dict) else given
        for name, default in Listeners().named().items()
        if (given := listeners.get(name, {})) is not None
    }
    return {**table, "listeners": merged}


def _unknown(key: str, name: str, prefix: str, known: list[str]) -> ConfigError:
    if name in _OTHER_SERVERS:
        return ConfigError(f"`{key}` is not a setting: {_OTHER_SERVERS[name]}", "Remove it.")
    nearest = difflib.get_close_matches(name, known, 1, 0.5)
    if nearest:
        return ConfigError(f"`{key}` is not a setting", f"Did you mean `{prefix}{nearest[0]}`?")
    elsewhere = difflib.get_close_matches(name, list(_all_keys(Config, "")), 1, 0.8)
    leaves = {full.rpartition(".")[2]: full for full in _all_keys(Config, "")}
    if name in leaves:
        return ConfigError(f"`{key}` is not a setting", f"Did you mean `{leaves[name]}`?")
    if elsewhere:
        return ConfigError(f"`{key}` is not a setting", f"Did you mean `{elsewhere[0]}`?")
    return ConfigError(f"`{key}` is not a setting", "`pillarbox config explain` lists all of them.")


def _all_keys(struct: type[msgspec.Struct], prefix: str) -> list[str]:
    keys: list[str] = []
    for name, hint in get_type_hints(struct, include_extras=True).items():
        inner = struct_of(hint)
        keys += _all_keys(inner, f"{prefix}{name}.") if inner is not None else [f"{prefix}{name}"]
    return keys


def _wrong_value(text: str) -> ConfigError:
    """msgspec's message in words for people."""
    at = _AT.search(text)
    key = at["key"] if at else ""
    what = text[: at.start()] if at else text
    if match := re.fullmatch(r"Expected `([^`]*)`, got `([^`]*)`", what):
        wanted, got = (_WORDS.get(word.partition(" ")[0], word) for word in match.groups())
        return ConfigError(f"`{key}` is to be {wanted}, not {got}")
    if match := re.fullmatch(r"Expected `\w+` (<=|>=|>|<) (.+)", what):
        bound = {"<=": "at most", ">=": "at least", ">": "more than", "<": "less than"}[match[1]]
        return ConfigError(f"`{key}` is to be {bound} {match[2].removesuffix('.0')}")
    if match := re.fullmatch(r"Invalid enum value ('?.*'?)", what):
        return ConfigError(f"`{key}` cannot be {match[1]}", f"It is one of {_choices(key)}.")
    if match := re.fullmatch(r"Object missing required field `(.*)`", what):
        return ConfigError(f"`{key}` needs `{match[1]}`")
    if "length" in what:
        return ConfigError(f"`{key}` is empty")
    return ConfigError(f"`{key}`: {what}" if key else what)


def _choices(key: str) -> str:
    struct: type[msgspec.Struct] = Config
    hint: Any = None
    for name in key.split("."):
        hint = get_type_hints(struct, include_extras=True)[name.partition("[")[0]]
        struct = struct_of(hint) or struct
    literal = msgspec.inspect.type_info(hint)
    while isinstance(literal, msgspec.inspect.Metadata):
        literal = literal.type
    return ", ".join(map(str, getattr(literal, "values", ())))


# --- rules ------------------------------------------------------------------------------------------------------------


def _check_names(config: Config) -> None:
    for key, names in (("host_name", [config.host_name] if config.host_name else []), ("domains", config.domains)):
        for name in names:
            try:
                normalise_domain(name)
            except BadAddress as error:
                raise ConfigError(f"`{key}`: {name!r} is not a domain name: {error}") from None
    for key, address in (("postmaster", config.postmaster), ("relay.everything_to", config.relay.everything_to)):
        if address:
            try:
                Address.parse(address)
            except BadAddress as error:
                raise ConfigError(
                    f"`{key}`: {address!r} is not an address: {error}", "It looks like anna@example.org."
                ) from None


def _check_listeners(config: Config) -> None:
    taken: dict[tuple[str, int], str] = {}
    for name, listener in config.listeners.named().items():
        for network in listener.proxy_from:
            _check_proxy(f"listeners.{name}.proxy_from", network)
        if listener.security == "none" and name != "smtp":
            raise ConfigError(
                f'`listeners.{name}.security = "none"` would send passwords in the clear, where everyone on the way can '
                "read them",
                'Use "implicit" or "starttls"; without a certificate of your own the server makes one.',
            )
        if not listener.enabled or listener.port == 0:
            continue
        other = taken.setdefault((listener.host, listener.port), name)
        if other != name:
            raise ConfigError(f"`listeners.{name}` and `listeners.{other}` have the same port {listener.port}")


def _check_access(config: Config) -> None:
    for network in config.access.never_refused:
        try:
            ip_network(network, strict=False)
        except ValueError:
            raise ConfigError(
                f"`access.never_refused`: {network!r} is not a network",
                'It looks like "192.0.2.0/24" or "2001:db8::/32".',
            ) from None
    if config.access.first_delay > config.access.longest_delay:
        raise ConfigError("`access.first_delay` is longer than `access.longest_delay`")


def _check_proxy(key: str, network: str) -> None:
    try:
        everybody = ip_network(network).prefixlen == 0
    except ValueError as error:
        raise ConfigError(f"`{key}`: {network!r} is not a network: {error}", 'It looks like "192.0.2.7/32".') from None
    if everybody:
        raise ConfigError(
            f"`{key}`: {network!r} is everybody, and any client could claim any address", "Name the proxies alone."
        )


def _check_relay(config: Config) -> None:
    _check_smarthost("relay.smarthost", config.relay.smarthost)
    taken: dict[str, int] = {}
    for number, entry in enumerate(config.relay.routes):
        key = f"relay.routes[{number}]"
        _check_smarthost(key, entry)
        for name in entry.domains:
            try:
                domain = normalise_domain(name)
            except BadAddress as error:
                raise ConfigError(f"`{key}.domains`: {name!r} is not a domain name: {error}") from None
            other = taken.setdefault(domain, number)
            if other != number:
                raise ConfigError(f"`{key}` and `relay.routes[{other}]` both name {domain}")


def _check_smarthost(key: str, smarthost: Smarthost) -> None:
    if not smarthost.host:
        if smarthost.username or smarthost.password_file:
            raise ConfigError(f"`{key}.host` is missing", "Credentials alone do not say where mail goes.")
        return
    if bool(smarthost.username) != bool(smarthost.password_file):
        missing = "password_file" if smarthost.username else "username"
        raise ConfigError(f"`{key}.{missing}` is missing", "A name and its password belong together.")
    if smarthost.username and smarthost.security == "none":
        raise ConfigError(
            f'`{key}.security = "none"` would send the password in the clear, where everyone on the way can read it',
            'Use "implicit" (port 465) or "starttls" (port 587).',
        )
