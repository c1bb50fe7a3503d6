"""Where mail rests."""
