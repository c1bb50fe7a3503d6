"""What happens to a message on its way (RFC 5598 roles)."""
