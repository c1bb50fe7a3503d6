"""Octets to POP3 and back (RFC 1939); no I/O."""
