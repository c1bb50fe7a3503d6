"""Octets to SMTP and back (RFC 5321, 6409); no I/O."""
