"""Tests that compare scratch with Keras."""
