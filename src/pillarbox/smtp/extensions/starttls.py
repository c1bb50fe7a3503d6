"""STARTTLS (RFC 3207), offered while the connection is in the clear."""

from pillarbox.smtp.registry import Extension, extension

STARTTLS = extension(
    Extension(
        "STARTTLS",
        "RFC 3207",
        "TLS on the same connection",
        offer=lambda session: "" if session.can_start_tls else None,
    )
)
