"""The one pass over a message: offsets, odd messages, bombs."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pillarbox.mail.mime import MAX_DEPTH, MAX_PARTS, Part, parse
from pillarbox.mail.summary import summarise

EXAMPLES = Path(__file__).parents[2].parent / "shared/data/mime/mail-parser-rfc"


def outline(part: Part) -> object:
    """A tree as nested lists of subtypes."""
    name = part.subtype.decode()
    return [name, *map(outline, part.parts)] if part.parts else name


def bodies(octets: bytes, part: Part) -> list[bytes]:
    """The bodies of the leaves."""
    if not part.parts:
        return [octets[part.body : part.end]]
    return [body for child in part.parts for body in bodies(octets, child)]


def multipart(boundary: bytes, *rest: bytes, subtype: bytes = b"mixed") -> bytes:
    return b"\r\n".join((b"Content-Type: multipart/" + subtype + b'; boundary="' + boundary + b'"', b"", *rest))


MESSAGES = [
    (b"", "plain", [b""]),
    (b"\r\n", "plain", [b""]),
    (b"no header at all", "plain", [b""]),
    (b"\r\nbody", "plain", [b"body"]),
    (b"\nbody", "plain", [b"body"]),
    (b"Subject: x\r\n\r\nbody\r\n", "plain", [b"body\r\n"]),
    (b"Subject: x\n\nbody\n", "plain", [b"body\n"]),
    (b"Content-Type: text/html\r\n\r\n<p>", "html", [b"<p>"]),
    (b"Content-Type: rubbish\r\n\r\nx", "plain", [b"x"]),
    (b"CONTENT-TYPE:\r\n text/HTML;\r\n charset=x\r\n\r\nx", "html", [b"x"]),
    (b"Content-Type: text/html\r\nContent-Type: text/plain\r\n\r\nx", "html", [b"x"]),
    (multipart(b"b", b"preamble", b"--b", b"", b"one", b"--b", b"", b"two", b"--b--", b"epilogue"),
     ["mixed", "plain", "plain"], [b"one", b"two"]),
    (multipart(b"b", b"--b", b"", b"one", b"--b", b"", b"two, and no end"), ["mixed", "plain", "plain"],
     [b"one", b"two, and no end"]),
    (multipart(b"b", b"--b", b"--b", b"", b"--b--"), ["mixed", "plain", "plain"], [b"", b""]),
    (multipart(b"b", b"--b", b"Content-Type: text/html", b"--b--"), ["mixed", "html"], [b""]),
    (multipart(b"b", b"--b  \t", b"", b"padded", b"--b-- "), ["mixed", "plain"], [b"padded"]),
    (multipart(b"b", b"--bb", b"--b", b"", b"--bc", b"--b--"), ["mixed", "plain"], [b"--bc"]),
    (multipart(b"b", b"--b", multipart(b"bb", b"--bb", b"", b"in", b"--bb--"), b"--b", b"", b"out", b"--b--"),
     ["mixed", ["mixed", "plain"], "plain"], [b"in", b"out"]),
    (multipart(b"bb", b"--bb", multipart(b"b", b"--b", b"", b"in", b"--b--"), b"--bb", b"", b"out", b"--bb--"),
     ["mixed", ["mixed", "plain"], "plain"], [b"in", b"out"]),
    # The inner one has no end: the outer delimiter ends both.
    (multipart(b"o", b"--o", multipart(b"i", b"--i", b"", b"in"), b"--o", b"", b"out", b"--o--"),
     ["mixed", ["mixed", "plain"], "plain"], [b"in", b"out"]),
    # Both have the same boundary: the inner one takes it until it is closed.
    (multipart(b"s", b"--s", multipart(b"s", b"--s", b"", b"in", b"--s--"), b"--s", b"", b"out", b"--s--"),
     ["mixed", ["mixed", "plain"], "plain"], [b"in", b"out"]),
    (multipart(b"b", b"--b", b"", b"Subject: in", b"", b"text", b"--b--", subtype=b"digest"),
     ["digest", ["rfc822", "plain"]], [b"text"]),
    (b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext", ["rfc822", "plain"], [b"text"]),
    (b"Content-Type: message/global\r\n\r\nSubject: in\r\n\r\ntext", ["global", "plain"], [b"text"]),
    (b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3Vi", "rfc822", [b"U3Vi"]),
    (b"Content-Type: multipart/mixed\r\n\r\nno boundary", "plain", [b"no boundary"]),
    (multipart(b"never", b"comes"), "plain", [b"comes"]),
    (b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\r\n\r\ntwo\r\n--b--\n", ["mixed", "plain", "plain"],
     [b"one", b"two"]),
]  # fmt: skip


@pytest.mark.parametrize(("octets", "tree", "leaves"), MESSAGES)
def test_message(octets: bytes, tree: object, leaves: list[bytes]) -> None:
    parsed = parse(octets)
    assert outline(parsed) == tree
    assert bodies(octets, parsed) == leaves
    check(octets, parsed)


def check(octets: bytes, tree: Part) -> None:
    """Offsets are in order, children lie inside of their parent, one after another."""
    assert (tree.start, tree.end) == (0, len(octets))
    stack, count = [(tree, 0)], 0
    while stack:
        part, depth = stack.pop()
        count += 1
        assert 0 <= part.start <= part.body <= part.end <= len(octets)
        assert depth <= MAX_DEPTH + 1
        position = part.body
        for child in part.parts:
            assert position <= child.start
            assert child.end <= part.end
            position = child.end
            stack.append((child, depth + 1))
        if part.is_message:
            assert len(part.parts) == 1
            assert (part.parts[0].start, part.parts[0].end) == (part.body, part.end)
    assert count <= MAX_PARTS


PIECES = st.sampled_from([
    b"\r\n", b"\n", b"\r", b"--", b"--a", b"--a--", b"--ab", b"a", b"ab", b"Content-Type: ", b"multipart/mixed; boundary=a",
    b'multipart/digest; boundary="ab"', b"message/rfc822", b"text/plain", b" ", b"\t", b":", b";", b"\0", b"\xff",
    b"From: a@b", b"Subject: =?utf-8?q?x?=", b"Date: ", b"Content-Disposition: attachment; filename*0*=", b"(", b'"', b"<",
])  # fmt: skip


@given(st.lists(PIECES, max_size=120).map(b"".join) | st.binary(max_size=400))
@settings(max_examples=400, deadline=None)
def test_any_octets(octets: bytes) -> None:
    check(octets, parse(octets))
    summary = summarise(octets)
    assert b"\0" not in summary.envelope + summary.bodystructure
    assert octets[: summary.header_size].endswith(summary.fields[-10:].rstrip(b"\r\n")) or summary.fields


def seconds(octets: bytes) -> float:
    """CPU seconds: a busy machine must not fail what is bounded."""
    start = time.process_time()
    check(octets, parse(octets))
    summarise(octets)
    return time.process_time() - start


def test_a_million_parts() -> None:
    octets = multipart(b"b", b"\r\n--b\r\n\r\nx" * 1_000_000)
    assert seconds(octets) < 5
    tree = parse(octets)
    assert len(tree.parts) == MAX_PARTS - 1
    assert tree.parts[-1].is_opaque
    assert tree.parts[-1].end == len(octets)


def test_half_a_million_lookalikes() -> None:
    octets = multipart(b"b", b"\r\n--ba" * 500_000)
    assert min(seconds(octets), seconds(octets)) < 2.5


def test_nested_until_it_hurts() -> None:
    """The 57 kB message that makes the standard library's parser run out of stack."""
    octets = b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (i, i) for i in range(1_000))
    assert seconds(octets) < 2
    depth, part = 0, parse(octets)
    while part.parts:
        depth, part = depth + 1, part.parts[0]
    assert depth == MAX_DEPTH
    assert (part.type, part.is_opaque) == (b"application", True)


def test_messages_in_messages() -> None:
    assert seconds(b"Content-Type: message/rfc822\r\n\r\n" * 50_000) < 2


@pytest.mark.parametrize(
    "line", [b"a:\r\n", b"Content-X: y\r\n", b" folded\r\n", b"x" * 4_000, b"Content-Type: text/plain;a=b;\r\n "]
)
def test_headers_without_end(line: bytes) -> None:
    assert (
        seconds(multipart(b"b", *[b"--b\r\n" + line * (4_000 // len(line))] * 500) + line * (2_000_000 // len(line)))
        < 5
    )


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the public MIME examples are not here")
@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.eml")), ids=lambda path: path.stem)
def test_rfc_examples_against_another_parser(example: Path) -> None:
    """The outline must be that of the other parser, which looks into encoded messages: we do not (RFC 2046 §5.2.1)."""
    octets = example.read_bytes()
    theirs = json.loads(example.with_suffix(".json").read_text())["parts"]
    ours: list[Part] = []

    def flatten(part: Part) -> None:
        ours.append(part)
        if part.is_multipart:
            for child in part.parts:
                flatten(child)

    flatten(parse(octets))
    assert len(ours) == len(theirs)
    for part, their in zip(ours, theirs, strict=True):
        assert (part.start, part.body) == (their["offset_header"], their["offset_body"])
        children = their["body"].get("Multipart") if isinstance(their["body"], dict) else None
        assert len(children or []) == (len(part.parts) if part.is_multipart else 0)
