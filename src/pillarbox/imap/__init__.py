"""Octets to IMAP and back (RFC 3501, 9051); no I/O."""
