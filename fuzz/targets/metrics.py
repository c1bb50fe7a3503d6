"""The metrics page: whatever is asked, in whatever pieces, there is one well-formed answer or none."""

import re

from fuzz.targets.conversation import Ended, converse
from fuzz.targets.world import pieces, run
from pillarbox.observe.scrape import MAX_REQUEST, MetricsEngine
from pillarbox.wire.engine import Link, Want

_PAGE = "# what is counted\npillarbox_logins_total 1\n"
_ANSWER = re.compile(rb"HTTP/1\.1 ([245]\d\d) [A-Za-z ]+\r\n(?:[A-Za-z-]+: [!-~ ]+\r\n)+\r\n")
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n")


async def _page() -> str:
    return _PAGE


def metrics(octets: bytes) -> None:
    """The first octet cuts the rest, which is what is sent to the port."""
    run(_metrics(pieces(octets)))


async def _metrics(reads: list[bytes]) -> None:
    ended = await converse(MetricsEngine(Link(), _page), reads)
    whole = await converse(MetricsEngine(Link(), _page), [b"".join(reads)])
    assert ended.answers == whole.answers, "a cut makes a difference"
    _check(ended)
    if not ended.answers:
        assert sum(map(len, reads)) < MAX_REQUEST, "a request without end is not answered"


def _check(ended: Ended) -> None:
    if not ended.answers:
        assert ended.want is Want.OCTETS
        return
    assert ended.want is Want.CLOSE
    head = _ANSWER.match(ended.answers)
    assert head is not None, ("no answer", ended.answers[:200])
    length = _LENGTH.search(head[0])
    assert length is not None
    body = ended.answers[head.end() :]
    assert len(body) in (0, int(length[1])), "another body than announced"
    assert (head[1] == b"200") == (int(length[1]) == len(_PAGE)), "the page, or something else of its length"
