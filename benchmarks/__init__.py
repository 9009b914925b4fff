"""What the from-scratch core costs beside Keras and others: every time is a ratio, taken on one machine in one run.

``python -m benchmarks`` answers all questions with one table and pictures; ``pytest benchmarks`` asks them one by one.
"""
