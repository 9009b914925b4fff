"""The reference: test cases, a float64 network, and the error bound of each of its tensors."""
