"""The relay's configuration becomes its policy."""

from pathlib import Path

import pytest

from pillarbox.server.config import ConfigError, parse
from pillarbox.server.relaying import queue_policy
from pillarbox.smtp.client.policy import TlsMode


def test_smarthost_and_routes(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pencil\r\nsecond line\n")
    config = parse(
        f"""
        [relay]
        first_wait = 60
        give_up_after = 3600

        [relay.smarthost]
        host = "smart.example"
        port = 587
        security = "starttls"
        username = "us"
        password_file = "{tmp_path}/password"

        [[relay.routes]]
        domains = ["Direct.example", "bücher.example"]

        [[relay.routes]]
        domains = ["inside.example"]
        host = "192.0.2.7"
        port = 25
        security = "none"
        """.encode()
    )
    policy = queue_policy(config, "mx.example", frozenset({"192.0.2.1"}))
    assert policy.smarthost is not None
    assert (policy.smarthost.host, policy.smarthost.port, policy.smarthost.tls) == (
        "smart.example",
        587,
        TlsMode.REQUIRED,
    )
    assert policy.smarthost.login is not None
    assert policy.smarthost.login.password.reveal() == "pencil"
    assert "pencil" not in repr(policy)
    assert policy.smarthost_for("direct.example") is None
    assert policy.smarthost_for("xn--bcher-kva.example") is None
    inside = policy.smarthost_for("inside.example")
    assert inside is not None
    assert (inside.host, inside.tls) == ("192.0.2.7", TlsMode.NONE)
    assert (policy.schedule.first, policy.schedule.lifetime) == (60, 3600)
    assert policy.own_addresses == {"192.0.2.1"}


@pytest.mark.parametrize(
    ("routes", "words"),
    [
        ('[[relay.routes]]\ndomains = ["a b"]', "not a domain name"),
        ('[[relay.routes]]\ndomains = ["a.example"]\nusername = "x"', "`relay.routes[0].host` is missing"),
        ('[[relay.routes]]\nhost = "x"', "domains"),
        ('[[relay.routes]]\ndomains = ["a.example"]\n[[relay.routes]]\ndomains = ["A.example"]', "both name a.example"),
        ('[[relay.routes]]\ndomains = ["a.example"]\nhots = "x"', "Did you mean `relay.routes[0].host`"),
    ],
)
def test_mistakes_are_explained(routes: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(routes.encode())
    assert words in str(caught.value)
