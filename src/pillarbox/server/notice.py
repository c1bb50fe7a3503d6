"""Letters from the server to an account's owner: what happened, what it means, what to do.

Security: nothing that a stranger chose goes into them, but for the address that the connection came from.
"""

import time
from collections.abc import Callable, Mapping
from email.utils import formatdate

from pillarbox.access.exposure import Exposure
from pillarbox.store.api import INBOX, Account, Delivery, Store, StoreError
from pillarbox.store.spool import Spool
from pillarbox.transfer.queue_id import fresh_queue_id

_EXPOSED = """Your password was sent over the network in the clear.

What happened: on {when} a mail program at the address {peer} sent the
name and the password of {address} to port {port} of this server
without encryption. The server refused it, and it was the right password.

What it means: whoever could listen on the way may know your password now.
If you do not know the address above, somebody else has it already.

What to do:

1. Get a new password: ask whoever runs this server.
   (They type: pillarbox account passwd {address})

2. Set your mail program to encrypted connections before you type it:

{settings}
   "STARTTLS" is fine too, if the program can be told to insist on it;
   "STARTTLS, if available" and "None" are not.

This is told at most once a day.
"""

_SETTINGS = (("imaps", "IMAP"), ("pop3s", "POP3"), ("submissions", "SMTP (outgoing mail)"))


class Notices:
    """Puts letters into INBOXes. `addresses` says where each listener is, `tell` writes the log. `clock` in epoch seconds."""

    def __init__(
        self,
        store: Store,
        host_name: str,
        addresses: Callable[[], Mapping[str, tuple[str, int]]],
        tell: Callable[..., None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._host_name = host_name
        self._addresses = addresses
        self._tell = tell
        self._clock = clock

    async def password_exposed(self, account: Account, exposure: Exposure) -> None:
        """Tell the owner that the password was sent in the clear; once a day, restarts included."""
        day = time.strftime("%Y%m%d", time.gmtime(exposure.at))
        message_id = f"<password-in-clear-{day}-{account.id}@{self._host_name}>"
        told = False
        try:
            inbox = await self._store.mail.open(account.id, INBOX)
            if not await self._store.mail.find_message_id(account.id, inbox.mailbox, message_id):
                text = _EXPOSED.format(
                    when=time.strftime("%d %B %Y at %H:%M UTC", time.gmtime(exposure.at)),
                    peer=exposure.peer,
                    address=account.address,
                    port=exposure.port,
                    settings=self._settings(),
                )
                letter = self._letter(account, "Your password was sent in the clear", message_id, text)
                await self._store.accept(Spool.of(letter), [Delivery(account.id)], trace_id=fresh_queue_id())
                told = True
        except StoreError as error:
            self._tell("notice_failed", account=account.address, error=str(error))
        self._tell("password_exposed", account=account.address, peer=exposure.peer, port=exposure.port, owner_told=told)

    def _settings(self) -> str:
        """The lines that a person types into a mail program."""
        addresses = self._addresses()
        return "".join(
            f"   {protocol}: server {self._host_name}, port {addresses[listener][1]}, SSL/TLS\n"
            for listener, protocol in _SETTINGS
            if listener in addresses
        )

    def _letter(self, account: Account, subject: str, message_id: str, text: str) -> bytes:
        """A message with CRLF. The address may be internationalised: then so is the header (RFC 6532)."""
        domain = account.address.rpartition("@")[2]
        header = (
            f'From: "Mail server {self._host_name}" <postmaster@{domain}>\n'
            f"To: {account.address}\n"
            f"Date: {formatdate(self._clock(), localtime=False)}\n"
            f"Subject: {subject}\n"
            f"Message-ID: {message_id}\n"
            "Auto-Submitted: auto-generated\n"
            "MIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=utf-8\n"
            "Content-Transfer-Encoding: 8bit\n"
        )
        return f"{header}\n{text}".replace("\n", "\r\n").encode()
