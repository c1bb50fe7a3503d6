"""Every socket."""
