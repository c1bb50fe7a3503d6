"""Who really sent a message (RFC 8601)."""
