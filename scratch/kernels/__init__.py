"""What only speed needs: compiled kernels for NumPy arrays, and the threads that run them."""
