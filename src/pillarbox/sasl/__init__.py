"""SASL mechanisms, server side, one file each (RFC 4422)."""
