"""How a peer or a whole program is run, checked against the reference, and timed."""
