"""The numbers of access: how failed logins are slowed down, and how much work a login may cause."""

from dataclasses import dataclass

from pillarbox.access.blocks import LOCAL


@dataclass(frozen=True, slots=True)
class Budget:
    """So many wrong passwords at once (`burst`), then one more every `refill` seconds."""

    burst: int
    refill: float


@dataclass(frozen=True, slots=True)
class Policy:
    """Times in seconds. The defaults let a family mistype all day and a guesser try some 1,500 passwords a day."""

    block: Budget = Budget(20, 60.0)
    """Wrong passwords from one address block (/24, /64): counted first, because guessers own addresses, not accounts."""

    account: Budget = Budget(50, 60.0)
    """Wrong passwords for one account from blocks where its owner is not known: slows down a botnet."""

    familiar: Budget = Budget(20, 60.0)
    """Wrong passwords for one account from a block where it logged in well lately; neither of the others applies there."""

    ipv4_block: int = 24
    """Prefix length of the block that an IPv4 address is counted under: what one customer of a hoster easily gets."""

    ipv6_block: int = 64
    """The same of IPv6: what every household gets."""

    never_refused: tuple[str, ...] = LOCAL
    """Networks whose wrong passwords are only answered late: everybody may be behind one of their addresses."""

    familiar_for: float = 30 * 86400.0
    """How long a good login makes its address block familiar."""

    first_delay: float = 0.5
    """How late the first wrong password is answered; each further one doubles it."""

    longest_delay: float = 8.0
    """No answer is later than this: clients give up after 10 to 30 seconds."""

    local_delay: float = 1.0
    """The longest delay for those who are never refused."""

    verified_for: float = 900.0
    """How long a verified password is known again without argon2, counted from its last use."""

    rejected_for: float = 3600.0
    """How long a wrong password is known again: it costs no argon2 and does not count a second time."""

    workers: int = 2
    """Passwords verified at the same time (21 ms of a core and 19 MiB each): a login storm gets no more than that of the
    machine. The work releases the GIL, so that on two cores the event loop still gets its share."""

    queue: int = 200
    """Passwords waiting for a worker; more are refused for now. 200 wait about 2 seconds."""

    queue_reserved: int = 50
    """Places of `queue` that only familiar (address block, account) pairs may take."""

    per_block: int = 4
    """Passwords of one address block that are verified or wait for a worker at the same time; the others stand in line."""

    line: int = 64
    """How many may stand in one line (one block's, or one block and account's); more are refused for now."""

    remembered: int = 20_000
    """Entries of each table: some 200 octets each, the least recently used one is dropped."""
