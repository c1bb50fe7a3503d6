"""One file per SMTP verb."""
