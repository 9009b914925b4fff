"""Tests and pytest-benchmark measurements."""
