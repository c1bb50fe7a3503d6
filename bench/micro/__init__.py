"""Small parts measured one by one, so that a change shows: `make bench-micro`."""
