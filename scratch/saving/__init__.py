"""Models as files: Keras's own formats, and .npz."""
