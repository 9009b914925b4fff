"""Planted faults: mistakes that the suite must detect."""
