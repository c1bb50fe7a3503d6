"""Pillarbox: a complete mail server in one process, secure by default."""

__version__ = "0.1.0"
