"""How a peer is run, checked and timed."""
