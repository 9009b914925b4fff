"""Name the mistake in a network that differs from Keras.

``situations`` are the batches that reveal mistakes, ``observe`` runs a network under test in each of them, ``formulas``
is a reference network each of whose formulas can be replaced, ``mistakes`` is the dictionary of replacements, and
``search`` finds the mistakes with which the reference reproduces the numbers that were observed.
"""
