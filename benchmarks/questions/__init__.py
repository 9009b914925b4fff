"""The questions that ``python -m benchmarks`` answers: one module each, listed in ``registry.py``.

A question starts workers for some peers, lets ``Session.verified`` drop those that do not compute the same as the
reference, measures the others in turns, and adds rows with ratios and targets to the results.

To add a question, write a module with a function of a ``Session`` and add one entry to ``registry.QUESTIONS``.
"""
