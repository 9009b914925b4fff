"""Unit tests of scratch."""
