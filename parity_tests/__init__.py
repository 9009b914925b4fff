"""Tests: each part against its formula, its errors, and float64 central differences."""
