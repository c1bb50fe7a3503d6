"""Who may log in: passwords, throttling."""
