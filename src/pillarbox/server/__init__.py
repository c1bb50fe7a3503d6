"""The composition root: configuration, assembly, lifecycle."""
