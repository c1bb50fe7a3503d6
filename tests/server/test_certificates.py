"""Certificates of a whole server: configured ones, by name, renewed while it runs; and the watch over the files."""

import asyncio
import ssl
from pathlib import Path

import msgspec
import pytest
import trustme
from tests.server.conftest import loopback_config

from pillarbox.server.assembly import Server, StartError
from pillarbox.server.certificates import CertificateError, CertificateWatch, read_names
from pillarbox.server.settings import Certificate, Tls

NAME = "mail.example.test"


def _issue(authority: trustme.CA, directory: Path, *names: str, stem: str) -> tuple[str, str]:
    issued = authority.issue_cert(*names, key_type=trustme.KeyType.ECDSA)
    certificate, key = directory / f"{stem}.pem", directory / f"{stem}.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return str(certificate), str(key)


async def _serial(server: Server, context: ssl.SSLContext, name: str) -> str:
    reader, writer = await asyncio.open_connection(*server.addresses["imaps"], ssl=context, server_hostname=name)
    await reader.readline()
    serial: str = writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
    writer.close()
    return serial


async def test_by_name_and_renewed_without_a_restart(tmp_path: Path) -> None:
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    first = _issue(authority, tmp_path, NAME, stem="first")
    more = Certificate(*_issue(authority, tmp_path, "mx.example.org", stem="more"))
    config = msgspec.structs.replace(loopback_config(tmp_path / "data"), tls=Tls(*first, more=[more]))
    server = Server(config)
    await server.start()
    try:
        assert server.certificate_authority is None
        before = await _serial(server, trust, NAME)
        assert await _serial(server, trust, "mx.example.org") != before  # names come from the file
        _issue(authority, tmp_path, NAME, stem="first")
        assert await server.reload_certificates()
        renewed = await _serial(server, trust, NAME)
        assert renewed != before
        Path(first[1]).write_text("half a key")
        assert not await server.reload_certificates()
        assert await _serial(server, trust, NAME) == renewed
    finally:
        await server.stop()


async def test_certificate_that_is_none(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nonsense")
    config = msgspec.structs.replace(loopback_config(tmp_path / "data"), tls=Tls(str(bad), str(bad)))
    with pytest.raises(StartError, match=r"bad\.pem is not a certificate in PEM form"):
        await Server(config).start()
    with pytest.raises(CertificateError, match="cannot be read: No such file"):
        read_names(tmp_path / "gone.pem")


async def test_watch_reloads_what_changed_and_tries_again(tmp_path: Path) -> None:
    file, reloads, renewals = tmp_path / "server.pem", asyncio.Queue[str](), list[None]()

    async def reload() -> bool:
        reloads.put_nowait(file.read_text())
        return False

    file.write_text("one")
    watch = CertificateWatch(reload, lambda: renewals.append(None), lambda: [file, tmp_path / "gone"], interval=0.01)
    task = asyncio.create_task(watch.run())
    async with asyncio.timeout(10):
        file.write_text("second")
        assert await reloads.get() == "second"
        replacement = tmp_path / "new"
        replacement.write_text("third!")  # the same size as before
        replacement.replace(file)
        assert await reloads.get() == "third!"
    assert renewals
    assert reloads.empty(), "nothing is loaded that did not change"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
