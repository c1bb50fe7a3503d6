"""Why an operation of the store is refused."""


class StoreError(Exception):
    """An operation of the store was refused; the text is fit for people."""


class NoSuchMailbox(StoreError):
    """There is no mailbox of this name (or id)."""


class MailboxExists(StoreError):
    """The name is taken."""


class TooManyMailboxes(StoreError):
    """The account has as many mailboxes, or subscriptions, as one may have."""


class BadMailboxName(StoreError):
    """The name cannot be a mailbox's name, or the mailbox cannot be renamed or deleted (INBOX)."""


class NoSuchAccount(StoreError):
    """There is no account of this address (or id)."""


class AlreadyExists(StoreError):
    """The domain, account or alias exists already."""


class NotFound(StoreError):
    """The domain, alias or queue entry does not exist."""


class OverQuota(StoreError):
    """The account has no room for this."""


class StoreUnavailable(StoreError):
    """The disk is full, or failing: try again later. Nothing was changed."""
