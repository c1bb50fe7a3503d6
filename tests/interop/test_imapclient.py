"""imapclient: IDLE, move and flags between two devices, over 993 and 143."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from imapclient import IMAPClient
from tests.demo import PASSWORD, Demo
from tests.interop.conftest import BOB, message

pytestmark = pytest.mark.interop


@contextmanager
def device(demo: Demo, listener: str) -> Iterator[IMAPClient]:
    implicit = listener == "imaps"
    with IMAPClient(
        "localhost", demo.port(listener), ssl=implicit, ssl_context=demo.trust if implicit else None, timeout=20
    ) as client:
        if not implicit:
            client.starttls(demo.trust)
        client.login(BOB, PASSWORD)
        yield client


@pytest.mark.parametrize("listener", ["imaps", "imap"])
def test_what_one_does_the_other_sees(demo: Demo, token: str, listener: str) -> None:
    with device(demo, listener) as phone, device(demo, "imaps") as laptop:
        phone.create_folder(token)
        phone.select_folder(token)
        laptop.select_folder(token)

        phone.idle()
        laptop.append(token, message(token))
        assert (1, b"EXISTS") in phone.idle_check(timeout=10)
        laptop.add_flags(1, [b"\\Seen", b"$Forwarded"])
        seen = [r for r in phone.idle_check(timeout=10) if r[1] == b"FETCH"]
        assert b"\\Seen" in str(seen).encode().replace(b"\\\\", b"\\")
        laptop.move([laptop.search("ALL")[0]], "Archive")
        assert (1, b"EXPUNGE") in phone.idle_check(timeout=10)
        phone.idle_done()

        assert phone.search("ALL") == []
        phone.select_folder("Archive")
        [uid] = phone.search(["SUBJECT", token])
        assert b"$Forwarded" in phone.get_flags([uid])[uid]
        assert phone.fetch([uid], ["RFC822"])[uid][b"RFC822"] == message(token)
        phone.delete_messages([uid])
        phone.expunge([uid])
        assert phone.search(["SUBJECT", token]) == []
        laptop.unselect_folder()
        laptop.delete_folder(token)


def test_special_uses_are_found(demo: Demo) -> None:
    with device(demo, "imaps") as client:
        for use, name in [(b"\\Sent", "Sent"), (b"\\Trash", "Trash"), (b"\\Drafts", "Drafts"), (b"\\Junk", "Junk")]:
            assert client.find_special_folder(use) == name


def test_names_in_other_scripts(demo: Demo, token: str) -> None:
    with device(demo, "imaps") as client:
        name = f"Entwürfe & 草稿 {token}"
        client.create_folder(name)
        assert name in [folder for _, _, folder in client.list_folders()]
        client.delete_folder(name)
