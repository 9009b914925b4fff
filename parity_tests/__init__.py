"""Tests of scratch, and its comparison with Keras, tensor by tensor; see README.md."""
