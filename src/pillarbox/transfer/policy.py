"""Policy: what the administrator decides about mail on its way."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules for reception, submission and delivery.

    `hostname` stands in trace fields and is our authserv-id (RFC 8601 §2.2). `postmaster` is the address of the account
    that gets mail for postmaster and abuse where nobody else does; without one, or when it is gone, the oldest account does,
    because somebody must (RFC 5321 §4.5.1). `relay_to`: mail for other domains is
    delivered to this account instead of being relayed (a demonstration, a rehearsal); None relays it.
    """

    hostname: str = "localhost"
    postmaster: str = ""
    relay_to: str | None = None

    save_sent: bool = True
    """File one copy of what is submitted in the account's Sent mailbox."""

    show_client_address: bool = False
    """Whether a submitter's address stands in Received; it tells every recipient where the author lives."""

    recipients_per_hour: int = 500
    """Of one account: well above what a person sends, far below what a stolen password is used for. 0: no limit."""

    recipients_per_day: int = 2000

    max_received: int = 50
    """Received fields before mail is taken to go in circles (RFC 5321 §6.3 asks for at least 100 hops or good judgement;
    real paths stay below 20)."""
