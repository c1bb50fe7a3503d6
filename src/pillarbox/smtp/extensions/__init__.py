"""One file per EHLO keyword."""
