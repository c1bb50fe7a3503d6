"""Pillarbox measured against Postfix + Dovecot, side by side, with the same clients and the same mail."""
