"""Acting for somebody else (authzid, RFC 4422 §3.4.1): nobody may, yet. One rule for all mechanisms."""

from pillarbox.sasl.api import AuthenticationFailed, Identity


def authorise(identity: Identity, *, authcid: str, authzid: str) -> Identity:
    """The identity itself when the authzid is empty or names the account that logged in.

    Raises AuthenticationFailed for anyone else.
    """
    wanted = authzid.strip().casefold()
    if wanted and wanted not in (authcid.strip().casefold(), identity.address.casefold()):
        raise AuthenticationFailed
    return identity
