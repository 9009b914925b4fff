"""The same network in Keras; to come with the parity suite."""
