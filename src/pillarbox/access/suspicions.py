"""What an administrator is shown of wrong passwords.

Security: a name that is no account is not told: it may be a password, typed into the wrong field.
"""

from dataclasses import replace

from pillarbox.access.throttle import Suspicion, Throttle
from pillarbox.mail.address import Address, BadAddress
from pillarbox.store.api import Directory

NO_ACCOUNT = "(no account here)"
"""What is said in place of such a name."""

MAX_SUSPICIONS = 1000
"""What a person can look at; those that are refused longest come first."""


async def suspicions(throttle: Throttle, directory: Directory, now: float) -> list[Suspicion]:
    """Wrong passwords that are not yet forgiven, by address block, account, and both. `now`: the throttle's clock."""
    found = throttle.suspicions(now)[:MAX_SUSPICIONS]
    strangers = {each.account for each in found if each.account and not await _is_account(directory, each.account)}
    return [replace(each, account=NO_ACCOUNT) if each.account in strangers else each for each in found]


async def _is_account(directory: Directory, name: str) -> bool:
    try:
        return await directory.account(str(Address.parse(name))) is not None
    except BadAddress:
        return False
