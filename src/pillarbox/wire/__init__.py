"""What every protocol engine shares: its contract with the network, line buffer and outbox."""
