"""The targets: each takes any octets, and raises whatever its subject must not raise."""

from collections.abc import Callable

from fuzz.targets import access, engines, mail, message, metrics, observe, server, store, tls, wire, words

TARGETS: dict[str, Callable[[bytes], None]] = {
    "imap": engines.imap,
    "pop3": engines.pop3,
    "smtp": engines.smtp,
    "smtp_client": engines.smtp_client,
    "sasl": access.sasl,
    "sasl_client": access.sasl_client,
    "address": mail.address,
    "address_list": mail.address_list,
    "date": mail.date,
    "dsn": mail.dsn,
    "encoded_word": mail.encoded_word,
    "header": mail.header,
    "message": message.message,
    "metrics": metrics.metrics,
    "mime": mail.mime,
    "proxy": wire.proxy,
    "parameter": mail.parameter,
    "text": mail.text,
    "transcript": observe.transcript,
    "config": server.config,
    "control": server.control,
    "dns": server.dns_answer,
    "packed_state": store.packed_state,
    "search": store.search,
    "segment": store.segment,
    "tls": tls.tls,
    "words": words.words,
}
