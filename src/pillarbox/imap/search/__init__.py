"""SEARCH's keys, one module for each family; each registers itself in `key.KEY` (RFC 9051 §6.4.4)."""
