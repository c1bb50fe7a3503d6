"""PIPELINING (RFC 2920): commands may come in groups; the engine answers them in order."""

from pillarbox.smtp.registry import Extension, extension

PIPELINING = extension(Extension("PIPELINING", "RFC 2920", "several commands in one go, answered in order"))
