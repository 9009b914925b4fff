"""The showcase: what the suite finds in well-known implementations; ``python -m parity_tests.showcase FOLDER``."""
