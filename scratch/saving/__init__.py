"""Read and write models as files: Keras's formats .keras and .weights.h5, and NumPy's .npz."""
