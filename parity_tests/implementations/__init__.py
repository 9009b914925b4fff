"""Networks under test: the interface that the checks need, and adapters for the usual styles of writing a network."""
