"""SMTP, client side (RFC 5321): how this server hands messages on. Sans-IO; `net.smtp_sender` drives it."""
