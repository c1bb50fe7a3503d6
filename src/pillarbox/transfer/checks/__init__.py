"""One file per check; each returns a verdict."""
