"""What authors of messages can write: MIME, headers, addresses, dates, words; and the notifications made from it."""

from pillarbox.mail import address as addresses
from pillarbox.mail import address_list as lists
from pillarbox.mail import content_type
from pillarbox.mail import date as dates
from pillarbox.mail import dsn as notifications
from pillarbox.mail import encoded_word as words
from pillarbox.mail import header as headers
from pillarbox.mail import mime as structure
from pillarbox.mail import text as texts
from pillarbox.mail.body_structure import without_extensions
from pillarbox.mail.charset import decode
from pillarbox.mail.full_text import MAX_TEXT, full_text
from pillarbox.mail.summary import summarise


def mime(octets: bytes) -> None:
    """Parts stay inside of the message; a summary can be made and read."""
    tree = structure.parse(octets)
    number = 0
    for part in texts.walk(tree):
        assert 0 <= part.start <= part.body <= part.end <= len(octets)
        texts.part_text(octets, part)
        texts.file_name(part)
        number += 1
    assert number <= structure.MAX_PARTS + 1
    summary = summarise(octets)
    without_extensions(summary.bodystructure)
    assert b"\r" not in summary.preview.encode("utf-8", "surrogatepass")


def text(octets: bytes) -> None:
    """The readable text of a message, of octets as HTML, and of octets in the charset that the first line names."""
    name, _, rest = octets.partition(b"\n")
    decode(rest, name.strip().decode("latin-1")).encode("utf-8")
    indexed = full_text(octets)
    tree = structure.parse(octets)
    header, body = texts.header_text(octets, 0, tree.body), "\n".join(texts.body_texts(octets, tree))
    assert indexed.header == header[:MAX_TEXT]
    assert body.startswith(indexed.body)
    assert not indexed.is_whole or indexed.body == body
    body.encode("utf-8")  # the index and the wire take no half characters
    texts.html_text(decode(octets)).encode("utf-8")


def header(octets: bytes) -> None:
    """Fields, and changes to them, stay consistent."""
    end = headers.header_end(octets)
    assert 0 <= end <= len(octets)
    found = list(headers.fields(octets))
    names = frozenset(field.name for field in found)
    for name in names:
        headers.value_of(octets, name)
    assert headers.present(octets[:end], names) == names
    assert not headers.present(headers.remove(octets[:end], names), names)
    headers.select(octets[:end], frozenset({b"subject", b"to"}))
    headers.unfold(octets)
    name, _, value = octets.partition(b"\0")
    try:
        rendered = headers.render(name, value)
    except ValueError:
        return
    added = headers.add(b"A: b\r\n\r\n", rendered)
    assert len(list(headers.fields(added))) == 2, "a value became a field"


def address(octets: bytes) -> None:
    """An address that was parsed is parsed to the same again."""
    try:
        found = addresses.Address.parse(octets.decode("utf-8", "surrogateescape"))
    except addresses.BadAddress:
        return
    assert addresses.Address.parse(str(found)) == found
    assert not any(c in str(found) for c in "\r\n\0")


def address_list(octets: bytes) -> None:
    """Lists of addresses."""
    for entry in lists.parse_addresses(octets):
        repr(entry)
    lists.addresses(octets)


def encoded_word(octets: bytes) -> None:
    """RFC 2047."""
    words.decode_words(octets).encode("utf-8")


def parameter(octets: bytes) -> None:
    """Content-Type, Content-Disposition, RFC 2231."""
    found = content_type.parse_content_type(octets)
    if found is not None:
        for name, _ in found.parameters:
            content_type.decoded_parameter(found.parameters, name).encode("utf-8")
    token, parameters = content_type.parse_token(octets)
    content_type.decoded_parameter(parameters, b"filename").encode("utf-8")
    assert b";" not in token


def date(octets: bytes) -> None:
    """Dates of messages and of IMAP."""
    dates.parse_date(octets)
    dates.parse_day(octets)
    seconds = dates.parse_internaldate(octets)
    if seconds is not None:
        assert dates.parse_internaldate(dates.internaldate(seconds).strip(b'"')) == seconds


def dsn(octets: bytes) -> None:
    """A stranger's reply, address and message in a notification: it stays what it is, and carries nothing else."""
    diagnostic, _, rest = octets.partition(b"\0")
    recipient, _, returned = rest.partition(b"\0")
    said = diagnostic.decode("utf-8", "surrogateescape")
    report = notifications.Report(
        "mail.b.test", "a@b.test", "Q1", 1.0, 2.0, "<m@b.test>", "boundary-of-ours",
        [
            notifications.RecipientReport(
                recipient.decode("utf-8", "replace"), notifications.Action.FAILED, "5.1.1", said, said, "mx.test",
                original_recipient=said,
            )
        ],
        returned, whole=len(returned) % 2 == 0,
    )  # fmt: skip
    if b"boundary-of-ours" in octets:
        return  # a random one in reality
    composed = notifications.compose(report)
    tree = structure.parse(composed)
    assert (tree.type, tree.subtype, len(tree.parts)) == (b"multipart", b"report", 3)
    names = [field.name.lower() for field in headers.fields(composed)]
    assert len(names) == len(set(names)), "a stranger added a field"
