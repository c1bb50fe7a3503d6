"""What adds FETCH items, SEARCH keys or parameters."""
