"""Measurements of what the from-scratch core costs; to come with the compiled core."""
