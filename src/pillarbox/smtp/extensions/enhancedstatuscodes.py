"""ENHANCEDSTATUSCODES (RFC 2034): every reply but the greeting, EHLO's and 3yz carries an RFC 3463 code."""

from pillarbox.smtp.registry import Extension, extension

ENHANCEDSTATUSCODES = extension(Extension("ENHANCEDSTATUSCODES", "RFC 2034", "replies carry a precise status code"))
