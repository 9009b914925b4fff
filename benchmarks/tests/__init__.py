"""Tests of the benchmarks, and measurements with pytest-benchmark (``test_epoch.py`` and others)."""
