"""Contracts with the network: the header of the PROXY protocol."""

from ipaddress import ip_address

from fuzz.targets.world import pieces
from pillarbox.wire.proxy_header import MAX_BINARY, BadHeader, Header, parse


def proxy(octets: bytes) -> None:
    """Any octets, read at once and in pieces: the same header, or none both times."""
    reads = pieces(octets)
    whole = b"".join(reads)
    at_once = _outcome(whole)
    got = b""
    in_pieces: Header | str | None = None
    for read in reads:
        got += read
        in_pieces = _outcome(got)
        if in_pieces is not None:
            break
    if isinstance(at_once, Header):
        assert at_once == in_pieces, "a header depends on how it is cut"
        assert at_once.length <= min(len(whole), MAX_BINARY)
        if at_once.origin is not None:
            assert at_once.origin.peer == str(ip_address(at_once.origin.peer))
            assert 0 <= at_once.origin.peer_port <= 0xFFFF
    else:
        assert not isinstance(in_pieces, Header), "a header depends on how it is cut"


def _outcome(octets: bytes) -> Header | str | None:
    try:
        return parse(octets) if octets else None
    except BadHeader as error:
        return str(error)
