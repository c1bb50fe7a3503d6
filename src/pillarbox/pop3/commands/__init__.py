"""One file per POP3 command."""
